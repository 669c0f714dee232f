"""Who takes part is read while others join."""

from thinwire.server.roster import Member, Roster


class Busy(Roster):
    """A fleet in which somebody joins whenever somebody is looked at, as another thread may do."""

    def _weigh(self, member: Member) -> int:
        self.join(f"late {len(self.members)}", 1)
        return super()._weigh(member)


def test_a_share_can_be_told_while_devices_join() -> None:
    fleet = Busy("uniform")
    fleet.join("a", 1)
    fleet.join("b", 1)
    assert fleet.share("a") == 0.5
