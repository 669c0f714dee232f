"""Wrong designs, each of which somebody would find plausible. The simulation must find every one of them.

Each takes a MonkeyPatch and puts its mistake into the product's own classes.
"""

from collections.abc import Callable

import pytest

from mutants import agent, greeting, ledger, safety, store, trainer

Mutant = Callable[[pytest.MonkeyPatch], None]

MUTANTS: tuple[Mutant, ...] = (
    # The usual ways in which residuals, retries and restarts go wrong together.
    agent.fire_and_forget, trainer.subtract_on_acknowledgement, agent.select_again_on_retry,
    agent.timeout_taken_for_a_rejection, ledger.no_memory_of_deltas, ledger.memory_of_deltas_in_memory,
    safety.acknowledged_before_it_is_safe, agent.sent_before_it_is_safe,
    ledger.sent_before_it_is_safe_and_known_by_number_alone, trainer.residual_without_its_mask,
    store.refund_apart_from_its_outcome, safety.checkpoint_in_two_parts, safety.checkpoint_without_the_buffer,
    # Mistakes that were made here, or nearly.
    safety.commit_that_overtakes_an_outcome, trainer.end_minus_start, trainer.included_deltas_stay_pending,
    store.broken_end_taken_for_a_torn_one, store.failed_sync_ignored, store.summary_that_forgets_the_residual,
    # The same, of machines that are set back, and clocks that jump.
    greeting.device_set_back_without_a_new_epoch, greeting.coordinator_set_back_without_a_word,
    store.residual_that_survives_its_epoch, greeting.rollback_under_the_old_name,
    greeting.rollback_that_keeps_the_accounts, greeting.rollback_after_which_every_device_begins_anew,
    greeting.rollback_of_a_backup_after_which_every_device_begins_anew, ledger.outcomes_that_expire_by_the_time_of_day,
    ledger.outcomes_that_expire_by_any_clock,
)  # fmt: skip
