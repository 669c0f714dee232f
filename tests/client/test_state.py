"""A state folder is one device's: what it sealed must not be sent again under another name."""

from pathlib import Path

import pytest

from thinwire.client.state import State
from thinwire.common.errors import SettingsError
from thinwire.common.settings import AgentSettings, loads


def state_of(device: str, path: Path) -> State:
    address = 'coordinator.address="127.0.0.1:1"'
    return State(loads("", AgentSettings, (f'device.name="{device}"', f'state.dir="{path}"', address), "test"))


def test_the_folder_of_another_device_is_refused(tmp_path: Path) -> None:
    state_of("oak", tmp_path).close()
    state_of("oak", tmp_path).close()
    with pytest.raises(SettingsError, match="'oak' has sealed"):
        state_of("elm", tmp_path)
    state_of("oak", tmp_path).close()
