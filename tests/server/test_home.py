"""The folder of a coordinator has one holder, whichever of its names it is called by."""

from pathlib import Path

import pytest
from journal_story import real_run

from thinwire.common.errors import SettingsError
from thinwire.server.home import Home


def test_one_run_of_a_coordinator_is_no_state_folder(tmp_path: Path) -> None:
    run, path = real_run(tmp_path)
    run.stop()
    with pytest.raises(SettingsError, match="the folder above"):
        Home(path)
