"""The planted faults: engines that are wrong in one way each, which the suite must catch.

Each is the reference engine with one rule broken. A suite that lets one pass proves nothing about the others.
docs/internals/conformance.md shows this table to readers.
"""

from typing import NamedTuple

from kvot.stores.memory_company import Company
from tests.conformance.faults import of_events, of_holds, of_keeping, of_time
from tests.conformance.faults.base import DurableMemory


class Fault(NamedTuple):
    """A planted fault: the engine that has it, what is wrong, and a check that must fail on it.

    `in_script`: the script of random lives finds it too, within the lives that the suite always plays.
    """

    engine: type[Company] | type[DurableMemory]
    wrong: str
    caught_by: str
    in_script: bool = True

    @property
    def name(self) -> str:
        return self.engine.__name__


FAULTS = (
    Fault(
        of_time.ClosedOnTheLeft,
        "an event still counts one window after it entered",
        "test_an_event_leaves_exactly_one_window_after_it_entered",
    ),
    Fault(
        of_time.OpenOnTheRight,
        "an event does not count in its own millisecond",
        "window edges: in order, slots of 2^8 ms",
    ),
    Fault(
        of_time.ClockGoesBack,
        "a company's clock follows the caller's backward",
        "test_a_clock_that_goes_back_freezes_the_company",
    ),
    Fault(
        of_time.BackwardClockDeletes,
        "what lies after a clock that went back is dropped",
        "test_a_clock_that_goes_back_forgets_nothing",
    ),
    Fault(of_time.SlidingDeletes, "what has left the window is deleted", "test_a_change_of_the_window_forgets_nothing"),
    Fault(
        of_time.AheadIsFree,
        "events ahead of the clock are not counted at admission",
        "test_events_ahead_of_the_clock_count_for_admission",
    ),
    Fault(of_events.ReplayCountsTwice, "a retry of an event counts again", "test_one_id_sent_by_many_counts_once"),
    Fault(
        of_events.ConflictOverwrites,
        "an id with other content replaces what was recorded",
        "test_an_id_with_other_content_conflicts_and_changes_nothing",
    ),
    Fault(
        of_events.ConflictIsAReplay,
        "only the id decides what is a replay",
        "test_one_id_with_many_contents_is_taken_once",
    ),
    Fault(
        of_events.AssignedTimeIsContent,
        "a retry must repeat the time that the ledger assigned",
        "test_a_time_that_is_given_is_other_content_than_a_time_that_is_assigned",
    ),
    Fault(
        of_events.RecordRefusesOverBudget,
        "tokens that were spent are refused over budget",
        "test_an_event_over_budget_is_recorded_and_flagged",
    ),
    Fault(
        of_events.CorrectionCountsNow,
        "a correction counts when it is made, not at its target's time",
        "test_a_correction_leaves_the_window_together_with_its_target",
    ),
    Fault(
        of_events.CorrectionBelowZero,
        "corrections together may take more than their target holds",
        "test_corrections_that_race_leave_their_target_at_or_above_zero",
    ),
    Fault(
        of_events.CorrectionIsCorrected,
        "a correction of a correction is passed on to its target",
        "test_a_correction_is_not_corrected",
    ),
    Fault(
        of_events.BatchKnowsNoReplayInside,
        "an id that comes twice in one batch counts twice",
        "test_a_batch_answers_as_its_events_would_one_by_one",
    ),
    Fault(of_holds.HoldNotCounted, "holds do not count against the limit", "story: room for one"),
    Fault(
        of_holds.HoldCountedAfterSettling,
        "a settled hold holds on until it would have run out",
        "story: settled in time",
    ),
    Fault(of_holds.ExpiredCallIsFree, "a hold whose call was sent runs out uncharged", "story: ran out sent"),
    Fault(of_holds.UnsentHoldIsCharged, "a hold whose call was never sent is charged", "story: ran out unsent"),
    Fault(
        of_holds.ChargedWhenNoticed,
        "a charge counts at the next write, not at the instant of expiry",
        "test_a_charge_counts_at_the_instant_at_which_the_hold_ran_out",
    ),
    Fault(
        of_holds.ExpiryOneLate,
        "a hold still counts at the instant at which it runs out",
        "story: room that comes back at the instant of expiry",
    ),
    Fault(
        of_holds.LateSettlementOnTop,
        "a late figure is added to the charge instead of replacing it",
        "test_settling_races_with_running_out_and_every_call_counts_once",
    ),
    Fault(
        of_holds.LateSettlementLost,
        "a hold that ran out can no longer be settled",
        "test_settling_a_hold_that_ran_out_uncharged_records_it_now",
    ),
    Fault(
        of_holds.SettlesAtMostTheHold,
        "what was used above the hold is not counted",
        "test_settling_above_the_hold_is_recorded_flagged_and_blocks",
    ),
    Fault(
        of_holds.ReleaseOfASettledHoldFreesAgain,
        "releasing a settled hold takes its usage away",
        "test_settling_otherwise_conflicts_and_changes_nothing",
    ),
    Fault(
        of_holds.ReceiptIsCompared,
        "a retry with another receipt is another settlement",
        "test_a_retry_of_a_settlement_is_the_same_whatever_its_receipt_and_the_first_stays",
        in_script=False,
    ),
    Fault(
        of_holds.LateReceiptIsLost,
        "the receipt of a figure that comes late is lost",
        "test_a_figure_that_comes_late_brings_its_receipt_with_the_correction",
        in_script=False,
    ),
    Fault(
        of_holds.RenewShortens,
        "renewing may bring the end of a hold nearer",
        "test_renew_counts_from_now_and_never_shortens",
    ),
    Fault(
        of_holds.RefusalIsRemembered,
        "an id that was refused once is refused for good",
        "test_a_refusal_is_not_remembered",
    ),
    Fault(
        of_holds.WaitOneShort,
        "the wait ends a millisecond before the tokens fit",
        "test_a_refusal_says_how_long_to_wait_to_the_millisecond",
    ),
    Fault(
        of_holds.ChecksThenActs,
        "a hold is checked in one step and made in another",
        "test_of_many_who_want_the_last_unit_one_gets_it",
        in_script=False,
    ),
    Fault(
        of_holds.SettlesInTwoSteps,
        "a client that dies while settling loses what was used",
        "test_a_client_that_dies_while_settling_may_settle_again",
        in_script=False,
    ),
    Fault(
        of_keeping.BudgetChangesThePast,
        "usage of a past instant is measured by the budget of today",
        "test_usage_of_an_instant_is_measured_by_the_budget_of_that_instant",
    ),
    Fault(
        of_keeping.SecondBudgetOfAMillisecondIsLost,
        "of two budgets in one millisecond the first stays",
        "test_of_two_budgets_in_one_millisecond_the_later_holds_and_both_are_kept",
    ),
    Fault(
        of_keeping.BudgetStartsAnew,
        "a change of the window starts a new count",
        "test_a_change_of_the_window_forgets_nothing",
    ),
    Fault(
        of_keeping.WithinBudgetAtTheLimit,
        "a company at its limit is called within budget",
        "test_a_company_at_its_limit_is_no_longer_within_budget",
    ),
    Fault(
        of_keeping.PruneTakesTooMuch,
        "pruning takes events above the floor",
        "test_ids_are_forgotten_with_their_events_and_no_others",
    ),
    Fault(
        of_keeping.PruneForgetsIds,
        "pruning forgets the ids of events that are kept",
        "test_an_event_that_was_kept_can_be_corrected",
    ),
    Fault(
        of_keeping.PruneCutsTheWindow,
        "pruning cuts into the window of the budget",
        "test_the_window_of_the_budget_is_never_pruned",
    ),
    Fault(
        of_keeping.BelowTheFloorIsZero,
        "a question below the floor is answered with what is left",
        "test_a_window_that_begins_at_the_floor_is_whole_and_one_before_is_refused",
    ),
    Fault(of_keeping.CompaniesMixed, "companies share their events", "test_the_same_id_in_two_companies_is_two_events"),
    Fault(
        of_keeping.IdsForgottenWhenOpenedAgain,
        "ids are forgotten when the engine is opened again",
        "test_a_replay_is_known_after_the_engine_was_opened_again",
    ),
    Fault(
        of_keeping.ClockForgottenWhenOpenedAgain,
        "the clock goes back when the engine is opened again",
        "test_the_clock_does_not_go_back_when_the_engine_is_opened_again",
    ),
    Fault(
        of_keeping.HoldsForgottenWhenOpenedAgain,
        "holds are forgotten when the engine is opened again",
        "test_holds_are_there_after_the_engine_was_opened_again",
    ),
    Fault(
        of_keeping.RepliesOfAllCompanies,
        "whoever knows the id of a stored reply is taken for who made it",
        "test_a_reply_is_nobody_elses",
        in_script=False,
    ),
    Fault(
        of_keeping.RepliesForgottenWhenOpenedAgain,
        "whose stored replies are is forgotten when the engine is opened again",
        "test_a_reply_is_its_companys_also_after_the_engine_was_opened_again",
        in_script=False,
    ),
    Fault(
        of_keeping.TokensOfRepliesAddedUp,
        "what is said again of a stored reply's tokens is taken for more of them",
        "test_what_was_said_last_of_a_replys_tokens_holds",
        in_script=False,
    ),
    Fault(
        of_keeping.RepliesForgottenTooSoon,
        "to remember a stored reply forgets others that are still kept",
        "test_only_what_is_no_longer_kept_is_forgotten_also_where_it_is_much",
        in_script=False,
    ),
    Fault(
        of_keeping.RevokedKeyLives,
        "a revoked key stays live",
        "test_a_revoked_key_says_since_when_and_revoking_twice_keeps_the_first_time",
        in_script=False,
    ),
)
