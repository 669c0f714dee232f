"""A wrong settings file gets one answer with everything that is wrong, and what to write instead."""

from pathlib import Path

import pytest

from thinwire.common.errors import SettingsError
from thinwire.common.settings import AgentSettings, CoordinatorSettings, load, loads, to_toml
from thinwire.common.settings.algorithms import ALGORITHMS

NAMED = '[device]\nname = "pi4-shed"\n'


def problems_of(text: str, kind: type[AgentSettings] | type[CoordinatorSettings]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loads(text, kind, origin="fleet.toml")
    prefixes = {problem.partition(": ")[0] for problem in caught.value.problems}
    assert prefixes == {"fleet.toml"}, "each problem names the file"
    return [problem.partition(": ")[2] for problem in caught.value.problems]


@pytest.mark.parametrize("setting", ["training.local_steps=4294967296", "limits.max_delta_bytes=4GiB"])
def test_what_a_plan_cannot_carry_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match=r"is 4294967296; devices can be told at most 4294967295"):
        loads("", CoordinatorSettings, (setting, "limits.staged_bytes=8GiB"))


def test_an_empty_file_makes_a_coordinator_that_works() -> None:
    settings = loads("", CoordinatorSettings)
    assert settings.training.omega == 0.5
    assert settings.aggregation.deadline == 30.0
    assert settings.limits.max_delta_bytes == 32 * 1024 * 1024


def test_an_agent_needs_only_a_name() -> None:
    assert loads(NAMED, AgentSettings).device.name == "pi4-shed"
    assert problems_of("", AgentSettings) == ["device.name is missing; it has no default"]
    assert problems_of("[device]", AgentSettings) == ["device.name is missing; it has no default"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[trainning]", "trainning is no section; did you mean training?"),
        ("[density]\nUP = 0.1", "density.UP is no key; did you mean density.up?"),
        ("[density]\nqqq = 1",
         "density.qqq is no key; known are policy, up, down, selection, min, max, ladder, window, plateau, progress,"
         " groups, link_aware, daily_budget, values, values_down"),
        ("[density]\nladder = 0.1",
         "density.ladder is 0.1; it must be a list of a number, above 0 and at most 1"),
        ("[density]\nladder = [0.1, 2]", "density.ladder[1] is 2; it must be a number, above 0 and at most 1"),
        ("[density]\nmin = 0.5", "density.min is 0.5; it must be at most density.max = 0.3"),
        ('[density]\npolicy = "spatial"\nup = 0.5',
         "density.up is 0.5; for spatial it must be within density.min and density.max, 0.01 to 0.3"),
        ('[density]\npolicy = "temporal"\nladder = [0.1, 0.3]',
         "density.ladder is [0.1, 0.3]; each must be lower than the one before it"),
        ('[density]\npolicy = "temporal"\nladder = [1.0, 0.1]',
         "density.ladder is [1.0, 0.1]; each must be within density.min and density.max, 0.01 to 0.3"),
        ("[density]\nplateau = 0.1", "density.plateau is 0.1; it must be below density.progress = 0.03"),
        ('[density]\ndaily_budget = "50MB"',
         "density.daily_budget is set, but density.link_aware is not; set it to true, or the budget to 0"),
        ("density = 0.1", "density is 0.1; it must be a section, [density]"),
        ("[density]\nup = 1.5", "density.up is 1.5; it must be a number, above 0 and at most 1"),
        ("[density]\nup = nan", "density.up is NaN; it must be a number, above 0 and at most 1"),
        ('[density]\nvalues = "fp17"',
         'density.values is "fp17"; it must be "log3" or "fp16" or "fp32"; did you mean "fp16"?'),
        ("[density]\nvalues = 16", 'density.values is 16; it must be "log3" or "fp16" or "fp32"'),
        ("[training]\nwindow = 0", "training.window is 0; it must be a whole number, at least 1"),
        ("[training]\nwindow = 8.0", "training.window is 8.0; it must be a whole number, at least 1"),
        ("[training]\nwindow = true", "training.window is true; it must be a whole number, at least 1"),
        ('[training]\noverlap = "yes"', 'training.overlap is "yes"; it must be true or false'),
        ('[aggregation]\ndeadline = "soon"',
         'aggregation.deadline is "soon"; it must be a duration such as "30s" or "500ms",'
         " or a number of seconds, above 0"),
        ("[aggregation]\ndeadline = 0",
         'aggregation.deadline is 0; it must be a duration such as "30s" or "500ms",'
         " or a number of seconds, above 0"),
        ('[limits]\nmax_devices = "2"', 'limits.max_devices is "2"; it must be a whole number, at least 1'),
        ('[listen]\naddress = "8470"',
         'listen.address is "8470"; it must be HOST:PORT, for example "127.0.0.1:8470"'),
        ('[tasks]\nbees = "bees.py"', 'tasks.bees is "bees.py"; it must be "module:Class"'),
        ("[task]\nparams = 3", "task.params is 3; it must be a table"),
        ("[task.params]\nday = 2026-03-01",
         "task.params.day is 2026-03-01; it must be text, a finite number, true, false,"
         " a list or a table of these"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(text: str, problem: str) -> None:
    assert problems_of(text, CoordinatorSettings) == [problem]


def test_all_problems_of_a_file_come_at_once() -> None:
    text = '[trainning]\n[density]\nup = 2\nvales = 1\n[tls]\nca = "ca.pem"\n[limits]\nstaged_bytes = "1MiB"'
    keys = [problem.split(" ")[0] for problem in problems_of(text, CoordinatorSettings)]
    assert keys == ["trainning", "tls.cert", "tls.key", "density.vales", "density.up", "limits.staged_bytes"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[device]\nname = 'Pi 4'", "device.name"),
        ("[device]\nname = ''", "device.name"),
        ("[device]\nname = 'a\\n'", "device.name"),
        ("[device]\nname = 'a'\nshard = 3\nshards = 3", "device.shard"),
        (NAMED + "[link]\nbackoff_base = '2min'", "link.backoff_cap"),
        (NAMED + "[metrics]\naddress = '0.0.0.0:9464'", "metrics.address"),
        (NAMED + "[coordinator]\naddress = 'fleet.example.org:443'", "coordinator.address"),
    ],
)
def test_keys_that_cannot_stand_together_are_named(text: str, key: str) -> None:
    (problem,) = problems_of(text, AgentSettings)
    assert problem.startswith(f"{key} is ")


def test_plain_text_stays_on_this_machine_unless_asked() -> None:
    (problem,) = problems_of('[listen]\naddress = "0.0.0.0:8470"', CoordinatorSettings)
    assert "listen.insecure = true" in problem
    settings = loads('[listen]\naddress = "0.0.0.0:8470"\ninsecure = true', CoordinatorSettings)
    assert settings.listen.insecure
    tls = '[tls]\nca = "a"\ncert = "b"\nkey = "c"\n'
    assert loads(tls + '[listen]\naddress = "0.0.0.0:8470"', CoordinatorSettings).tls.enabled


def test_a_target_that_nobody_measures_is_refused() -> None:
    text = "[stop]\ntarget_accuracy = 0.9\n[evaluation]\nenabled = false"
    (problem,) = problems_of(text, CoordinatorSettings)
    assert problem.startswith("stop.target_accuracy is 0.9")


def test_durations_and_sizes_may_be_numbers() -> None:
    text = '[aggregation]\ndeadline = 90\n[limits]\nmax_delta_bytes = 1000\nstaged_bytes = "64KiB"'
    settings = loads(text, CoordinatorSettings)
    assert settings.aggregation.deadline == 90.0
    assert (settings.limits.max_delta_bytes, settings.limits.staged_bytes) == (1000, 65536)


def test_overrides_are_read_after_the_file() -> None:
    overrides = (
        "density.up=0.2",
        "training.optimizer=adam",
        'aggregation.deadline="5s"',
        "task.params.width=8",
    )
    settings = loads("[density]\nup = 0.1", CoordinatorSettings, overrides)
    assert settings.density.up == 0.2
    assert settings.training.optimizer == "adam"
    assert settings.aggregation.deadline == 5.0
    assert settings.task.params == {"width": 8}


@pytest.mark.parametrize("override", ["density.up", "up=0.2", "=", "density.up.x=1", ".=1"])
def test_an_override_that_sets_nothing_is_refused(override: str) -> None:
    with pytest.raises(SettingsError):
        loads("[density]\nup = 0.1", CoordinatorSettings, (override,))


@pytest.mark.parametrize(
    "settings",
    [
        CoordinatorSettings(),
        loads('[task]\nid = "bees"\nparams = { "a b" = [1, 2.5, true], "ä" = "\\"\\n\\u007f" }\n'
              '[tasks]\nbees = "apiary.bees:Bees"\n[aggregation]\ndeadline = 0.0001234567890123',
              CoordinatorSettings),
        loads(NAMED + '[link]\nkeepalive = "2min"\nbackoff_base = 0.1', AgentSettings),
    ],
)  # fmt: skip
def test_what_is_written_reads_back_the_same(settings: CoordinatorSettings | AgentSettings) -> None:
    assert loads(to_toml(settings), type(settings)) == settings


def test_settings_do_not_change_after_they_are_read() -> None:
    with pytest.raises(AttributeError):
        CoordinatorSettings().training.window = 9  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"[density", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"#" * (1 << 21), "is longer than"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "coordinator.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=reason) as caught:
        load(path, CoordinatorSettings)
    assert str(path) in str(caught.value)


def test_a_file_on_disk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(NAMED)
    assert load(path, AgentSettings, ["trainer.threads=2"]).trainer.threads == 2


def test_a_method_by_name_sets_what_is_not_set() -> None:
    text = '[training]\nalgorithm = "fedadam"\n[density]\nup = 0.2'
    settings = loads(text, CoordinatorSettings, ("training.overlap=true",))
    assert (settings.density.up, settings.density.down) == (0.2, 1.0)
    assert (settings.training.overlap, settings.training.rebase) == (True, "at-cut")
    assert settings.aggregation.server_optimizer == "adam"
    assert loads(to_toml(settings), CoordinatorSettings) == settings, "what is shown is all that the name stands for"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_method_expands_to_settings_that_can_be(name: str) -> None:
    settings = loads(f'[training]\nalgorithm = "{name}"\n[aggregation]\nmin_devices = 4', CoordinatorSettings)
    for dotted, value in ALGORITHMS[name].items():
        section, key = dotted.split(".")
        assert getattr(getattr(settings, section), key) == value
    assert name != "thinwire" or settings == loads("[aggregation]\nmin_devices = 4", CoordinatorSettings)


def test_every_name_of_a_method_is_one_that_can_be_chosen() -> None:
    (problem,) = problems_of('[training]\nalgorithm = "fedavgg"', CoordinatorSettings)
    choices = " or ".join(f'"{name}"' for name in ALGORITHMS)
    assert problem == f'training.algorithm is "fedavgg"; it must be {choices}; did you mean "fedavg"?'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[correction]\ndrift = 0.5", "above two rounds of delay"),
        ("[training]\nwindow = 2\nomega = 0.4\n[correction]\ndrift = 0.5", "set correction.drift to at most omega"),
        ("[training]\nwindow = 2\n[correction]\ndrift = 0.5\n[aggregation]\nserver_learning_rate = 2",
         "aggregation.server_learning_rate = 1"),
        ('[training]\nwindow = 2\n[correction]\ndrift = 0.5\n[aggregation]\ndenominator = "buffer"',
         'aggregation.denominator = "all"'),
        ('[training]\nwindow = 2\n[correction]\ndrift = 0.5\n[aggregation]\nserver_optimizer = "yogi"',
         'aggregation.server_optimizer = "sgd"'),
        ("[training]\nwindow = 2\n[correction]\ndrift = 0.5\n[aggregation]\nserver_momentum = 0.9",
         "aggregation.server_momentum = 0"),
        ("[correction]\ntaylor = 16", 'training.omega = "dga"'),
        ('[training]\nomega = "eager"', "1/aggregation.min_devices"),
        ('[training]\nomega = "sixth"',
         'it must be "overwrite" or "eager" or "half" or "dga" or a number, at least 0 and at most 1'),
        ("[training]\nomega = 1.5", "a number, at least 0 and at most 1"),
        ('[correction]\nmerge = "mix"', "training.window = 1"),
        ('[training]\nwindow = 1\n[correction]\nmerge = "mix"\nresidual = "keep"', 'residual = "release"'),
        ('[training]\nwindow = 1\n[correction]\nmerge = "mix"\nresidual = "private"', 'residual = "release"'),
        ('[training]\nwindow = 1\nomega = "dga"\n[correction]\nmerge = "mix"\ntaylor = 1', "set both to 0"),
        ('[training]\nwindow = 1\n[correction]\nmerge = "mix"\ndrift = 0.5', "set both to 0"),
        ('[training]\nomega = "dga"\noptimizer = "adam"\n[correction]\ntaylor = 1', "only plain SGD shows"),
        ('[training]\nomega = "dga"\nmomentum = 0.9\n[correction]\ntaylor = 1', "only plain SGD shows"),
        ('[training]\noverlap = false\n[aggregation]\nmixing = "model"', "density.up = 1"),
        ('[density]\nup = 1.0\n[aggregation]\nmixing = "model"', "training.overlap = false"),
        ('[training]\nalgorithm = "fedasync"\n[density]\npolicy = "temporal"\nmax = 1.0', 'policy = "fixed"'),
        ('[training]\nalgorithm = "fedasync"\n[density]\nlink_aware = true', "link_aware = false"),
    ],
)  # fmt: skip
def test_corrections_that_cannot_work_are_refused_in_words(text: str, words: str) -> None:
    (problem,) = problems_of(text, CoordinatorSettings)
    assert words in problem


def test_a_window_is_no_wider_than_the_outcomes_that_are_remembered() -> None:
    assert loads("[training]\nwindow = 256", CoordinatorSettings).training.window == 256
    with pytest.raises(SettingsError, match="at most 256"):
        loads("[training]\nwindow = 257", CoordinatorSettings)


def test_drift_correction_is_allowed_where_delay_is_short() -> None:
    for text in ("[training]\nwindow = 2", "[training]\noverlap = false"):
        assert loads(text + "\n[correction]\ndrift = 0.5", CoordinatorSettings).correction.drift == 0.5


def test_over_a_long_delay_drift_correction_is_allowed_as_weak_as_the_refusal_says() -> None:
    for window, most in (7, 0.2857), (201, 0.0099), (256, 0.0078):
        long = f"[training]\nwindow = {window}\n[correction]\ndrift_memory = 0.9\ndrift = "
        (problem,) = problems_of(long + "0.5", CoordinatorSettings)
        assert f"set correction.drift to at most {most} and drift_memory to at least 0.9" in problem
        assert loads(f"{long}{most}", CoordinatorSettings).correction.drift == most
        assert problems_of(f"{long.replace('0.9', '0.8')}{most}", CoordinatorSettings)
