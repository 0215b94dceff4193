"""What the tallies say to Prometheus: sums that add up, under labels that nobody from outside can make more of."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from kvot.core.model import CallDetail, Settlement, Source
from kvot.telemetry.metrics import Metrics
from kvot.telemetry.tally import CallOutcome, Outcome, Requests, Spread, Tallies


def settlement(tokens: int, source: Source = Source.REPORTED, **parts: Any) -> Settlement:
    return Settlement(tokens, source, CallDetail(model="a model", user="somebody", **parts))


def read(
    tallies: Tallies, worker: str | None = None, requests: Requests | None = None
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = Metrics(tallies, requests or Requests(), worker).text().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(tallies: Tallies, name: str, **labels: str) -> float:
    return read(tallies)[name, frozenset({"provider": "openai", "endpoint": "chat", **labels}.items())]


def test_a_call_is_counted_in_every_sum():
    tallies = Tallies()
    tally = tallies.of("openai", "chat")
    tally.hold(1_200, 0.002, is_clamped=False)
    parts: Any = {"input_tokens": 500, "output_tokens": 400, "cached_tokens": 100, "reasoning_tokens": 50}
    tally.end(settlement(900, **parts), 0.3, held=1_200, held_input=600, guessed_input=450)
    assert value(tallies, "kvot_reservations_total", outcome="held") == 1
    assert value(tallies, "kvot_held_tokens_total") == 1_200
    assert value(tallies, "kvot_settled_tokens_total") == 900
    assert value(tallies, "kvot_overshoot_tokens_total") == 0
    for kind, tokens in (("input", 500), ("output", 400), ("cached", 100), ("reasoning", 50)):
        assert value(tallies, "kvot_tokens_total", kind=kind, source="reported") == tokens
    assert value(tallies, "kvot_estimate_error_sum") == 0.2
    assert value(tallies, "kvot_guess_error_sum") == -0.1
    assert value(tallies, "kvot_estimate_error_bucket", le="0.1") == 0
    assert value(tallies, "kvot_estimate_error_bucket", le="0.2") == 1
    assert value(tallies, "kvot_upstream_seconds_sum") == 0.3
    assert value(tallies, "kvot_gateway_overhead_seconds_sum") == 0.002


def test_clamped_and_refused_calls_are_counted_apart():
    tallies = Tallies()
    tallies.of("openai", "chat").hold(9, 0.0, is_clamped=True)
    tallies.of("openai", "chat").refuse()
    counts = {name: value(tallies, "kvot_reservations_total", outcome=name) for name in ("held", "clamped", "refused")}
    assert counts == {"held": 0, "clamped": 1, "refused": 1}


def test_what_is_settled_above_its_hold_is_overshoot():
    tallies = Tallies()
    tallies.of("openai", "chat").end(settlement(130), None, held=100, held_input=50)
    tallies.of("openai", "chat").end(settlement(70), None, held=100, held_input=50)
    assert value(tallies, "kvot_overshoot_tokens_total") == 30


def test_what_holds_over_http_are_settled_at_above_their_tokens_is_overshoot_of_no_provider():
    requests = Requests()
    for tokens, held in ((500, 5), (5, 5), (4, 5), (7, 5)):
        requests.settle(tokens, held)
    assert read(Tallies(), requests=requests) == {
        ("kvot_overshoot_tokens_total", frozenset({("endpoint", "holds")})): 497
    }


def test_what_was_taken_back_is_counted_beside_what_was_settled():
    tallies = Tallies()
    tallies.of("openai", "chat").end(settlement(130), None, held=200, held_input=50)
    tallies.of("openai", "chat").take_back(130)
    assert value(tallies, "kvot_settled_tokens_total") == value(tallies, "kvot_corrected_tokens_total") == 130


def test_calls_whose_total_is_not_the_sum_of_its_parts_are_counted():
    tallies = Tallies()
    tallies.of("openai", "chat").mismatch()
    assert value(tallies, "kvot_mismatched_calls_total") == 1


def test_a_hold_that_was_dropped_uses_nothing_of_it():
    tallies = Tallies()
    tallies.of("openai", "chat").end(None, 0.1, held=100, held_input=50)
    assert value(tallies, "kvot_settled_tokens_total") == 0
    assert value(tallies, "kvot_estimate_error_count") == 0


def test_only_what_a_provider_reported_judges_the_estimate():
    tallies = Tallies()
    for source in (Source.ESTIMATED, Source.PARTIAL):
        tallies.of("openai", "chat").end(settlement(9, source, input_tokens=5), None, held=9, held_input=50)
    assert value(tallies, "kvot_estimate_error_count") == 0
    tallies.of("openai", "chat").end(settlement(9, input_tokens=100), None, held=9, held_input=50)
    assert value(tallies, "kvot_estimate_error_bucket", le="-0.5") == 1


def test_buckets_hold_what_lies_at_or_below_their_edge():
    spread = Spread((1.0, 2.0))
    for each in (0.5, 1.0, 1.5, 2.0, 2.5):
        spread.observe(each)
    assert (spread.counts, spread.total) == ([2, 2, 1], 7.5)


def test_labels_name_provider_endpoint_and_what_the_code_names_alone():
    """A company, a model or a user in a label would let clients make as many series as they like."""
    tallies = Tallies()
    for number in range(50):
        call = Settlement(1, Source.REPORTED, CallDetail(f"p{number}", f"m{number}", f"u{number}", f"f{number}", 1, 1))
        tallies.of("openai", "chat").hold(2, 0.1, is_clamped=False)
        tallies.of("openai", "chat").end(call, 0.1, held=2, held_input=1)
    samples = read(tallies)
    assert {name for _, labels in samples for name, _ in labels} == {
        "provider",
        "endpoint",
        "kind",
        "source",
        "outcome",
        "le",
    }
    assert len(samples) < 100


def test_of_several_workers_every_series_says_which():
    tallies = Tallies()
    tallies.of("openai", "chat").refuse()
    assert all(("worker", "17") in labels for _, labels in read(tallies, worker="17"))


def test_calls_are_counted_by_where_they_went_and_what_became_of_them():
    tallies = Tallies()
    outcomes: tuple[tuple[str, CallOutcome | None], ...] = (
        ("chat", "passed"),
        ("chat", "cut"),
        ("", "rejected"),
        ("", None),
    )
    for endpoint, outcome in outcomes:
        tallies.calls.begin("openai")
        tallies.calls.end("openai", endpoint, outcome)
    tallies.calls.begin("openai")
    found = {(name, *sorted(labels)): count for (name, labels), count in read(tallies).items() if "calls" in name}
    openai = ("provider", "openai")
    assert found == {
        ("kvot_calls_total", ("endpoint", "chat"), ("outcome", "passed"), openai): 1,
        ("kvot_calls_total", ("endpoint", "chat"), ("outcome", "cut"), openai): 1,
        ("kvot_calls_total", ("outcome", "rejected"), openai): 1,
        ("kvot_calls_under_way", openai): 1,
    }


def test_requests_are_counted_by_operation_and_outcome_and_holds_are_reservations():
    requests = Requests()
    outcomes: tuple[tuple[Outcome, int], ...] = (("done", 3), ("refused", 2), ("rejected", 1))
    for outcome, times in outcomes:
        for _ in range(times):
            requests.count("ReserveAiChatTokens", outcome)
    requests.count("GetAiChatUsage", "failed")
    found = {(name, *sorted(labels)): count for (name, labels), count in read(Tallies(), "7", requests).items()}
    worker = ("worker", "7")
    holds = [
        ("kvot_reservations_total", ("endpoint", "holds"), ("outcome", name), worker) for name in ("held", "refused")
    ]
    assert [found.pop(each) for each in holds] == [3, 2]
    assert found == {
        ("kvot_overshoot_tokens_total", ("endpoint", "holds"), worker): 0,
        ("kvot_requests_total", ("operation", "ReserveAiChatTokens"), ("outcome", "done"), worker): 3,
        ("kvot_requests_total", ("operation", "ReserveAiChatTokens"), ("outcome", "refused"), worker): 2,
        ("kvot_requests_total", ("operation", "ReserveAiChatTokens"), ("outcome", "rejected"), worker): 1,
        ("kvot_requests_total", ("operation", "GetAiChatUsage"), ("outcome", "failed"), worker): 1,
    }
