"""The tallies as Prometheus reads them. Works them out when it is asked, so that nobody pays for it but who asks.

| metric | what it says |
|---|---|
| kvot_requests_total | requests to operations of the contract, by what became of them |
| kvot_calls_total | calls to paths of providers, by what became of them |
| kvot_calls_under_way | those that have not ended |
| kvot_tokens_total | tokens charged, by kind (cached is part of input, reasoning of output) and source of the figure |
| kvot_reservations_total | calls whose tokens were held, held for a shorter answer (clamped), or refused; holds too |
| kvot_held_tokens_total, kvot_settled_tokens_total | settled / held is how well holds are used: too low is a fault |
| kvot_overshoot_tokens_total | tokens settled above their hold: overspending, where the budget had no room for them |
| kvot_corrected_tokens_total | of the settled tokens, those taken back since: their call was repeated with success |
| kvot_mismatched_calls_total | calls whose provider gave a total that is not the sum of its parts; the parts count |
| kvot_estimate_error | (input held - input used) / input used; below 0 too little was held |
| kvot_guess_error | (input guessed - input used) / input used, guessed as calls without figures are charged |
| kvot_upstream_seconds | from a call's going out until the head of the reply |
| kvot_gateway_overhead_seconds | from a call's arrival until it goes out, its reading and its hold included |
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from kvot.telemetry.tally import KINDS, Calls, Outcome, Requests, Spread, Tallies, Tally

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_WHERE = ("provider", "endpoint")

_COUNTERS: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("kvot_held_tokens", "Tokens held for calls.", lambda tally: tally.held_tokens),
    ("kvot_settled_tokens", "Tokens that calls were charged in the end.", lambda tally: tally.settled_tokens),
    ("kvot_corrected_tokens", "Settled tokens that were taken back.", lambda tally: tally.corrected_tokens),
    ("kvot_mismatched_calls", "Calls whose total was not the sum of its parts.", lambda tally: tally.mismatched_calls),
)
_SPREADS: tuple[tuple[str, str, Callable[[Tally], Spread]], ...] = (
    ("kvot_estimate_error", "Input held less input used, as a share of the used.", lambda tally: tally.estimate_error),
    ("kvot_guess_error", "Input guessed less input used, as a share of the used.", lambda tally: tally.guess_error),
    ("kvot_upstream_seconds", "From a call's going out until its reply's head.", lambda tally: tally.upstream_s),
    ("kvot_gateway_overhead_seconds", "From a call's arrival to its going out.", lambda tally: tally.overhead_s),
)


class Metrics(Collector):
    """`worker`: which of several processes behind one port this is; every series then says so."""

    def __init__(self, tallies: Tallies, requests: Requests, worker: str | None = None) -> None:
        self._tallies = tallies
        self._requests = requests
        self._worker = {} if worker is None else {"worker": worker}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        rows = [
            ({**self._worker, **dict(zip(_WHERE, where, strict=True))}, tally) for where, tally in self._tallies.items()
        ]
        requests = [(self._worker, *each) for each in self._requests.items()]
        yield _operations(requests)
        yield _calls(self._worker, self._tallies.calls)
        yield _under_way(self._worker, self._tallies.calls)
        yield _tokens(rows)
        yield _held_or_refused(rows, requests)
        yield _overshoot(rows, {**self._worker, **_OF_HOLDS}, self._requests.overshoot_tokens)
        for name, help_, count in _COUNTERS:
            counter = CounterMetricFamily(name, help_)
            for labels, tally in rows:
                counter.add_sample(f"{name}_total", labels, count(tally))
            yield counter
        for name, help_, spread in _SPREADS:
            yield _histogram(name, help_, [(labels, spread(tally)) for labels, tally in rows])


_Rows = list[tuple[dict[str, str], Tally]]
_Asked = list[tuple[dict[str, str], tuple[str, Outcome], int]]

_OF_HOLDS = {"endpoint": "holds"}
"""Beside the provider's endpoints, those that were asked for over HTTP."""

_RESERVE = "ReserveAiChatTokens"
_HOLDS: dict[Outcome, str] = {"done": "held", "refused": "refused"}
"""What a request for a hold is among the reservations. One that is not as it must be is none."""


def _operations(requests: _Asked) -> Metric:
    family = CounterMetricFamily("kvot_requests", "Requests to operations.")
    for labels, (operation, outcome), count in requests:
        family.add_sample("kvot_requests_total", {**labels, "operation": operation, "outcome": outcome}, count)
    return family


def _calls(worker: dict[str, str], calls: Calls) -> Metric:
    family = CounterMetricFamily("kvot_calls", "Calls to paths of providers.")
    for (provider, endpoint, outcome), count in calls.items():
        where = {"provider": provider, "endpoint": endpoint} if endpoint else {"provider": provider}
        family.add_sample("kvot_calls_total", {**worker, **where, "outcome": outcome}, count)
    return family


def _under_way(worker: dict[str, str], calls: Calls) -> Metric:
    family = GaugeMetricFamily("kvot_calls_under_way", "Calls that have not ended.")
    for provider, count in sorted(calls.under_way.items()):
        family.add_sample("kvot_calls_under_way", {**worker, "provider": provider}, count)
    return family


def _tokens(rows: _Rows) -> Metric:
    family = CounterMetricFamily("kvot_tokens", "Tokens charged.")
    for labels, tally in rows:
        for source, tokens in sorted(tally.tokens.items()):
            for kind, count in zip(KINDS, tokens, strict=True):
                family.add_sample("kvot_tokens_total", {**labels, "kind": kind, "source": source.value}, count)
    return family


def _held_or_refused(rows: _Rows, requests: _Asked) -> Metric:
    family = CounterMetricFamily("kvot_reservations", "Calls whose tokens were held, held for less, or refused.")
    for labels, tally in rows:
        calls = {"held": tally.held_calls, "clamped": tally.clamped_calls, "refused": tally.refused_calls}
        for outcome, count in calls.items():
            family.add_sample("kvot_reservations_total", {**labels, "outcome": outcome}, count)
    for labels, (operation, asked), count in requests:
        if operation == _RESERVE and asked in _HOLDS:
            of_holds = {**labels, **_OF_HOLDS, "outcome": _HOLDS[asked]}
            family.add_sample("kvot_reservations_total", of_holds, count)
    return family


def _overshoot(rows: _Rows, of_holds: dict[str, str], holds_tokens: int) -> Metric:
    family = CounterMetricFamily("kvot_overshoot_tokens", "Tokens settled above their hold.")
    for labels, tokens in (*((labels, tally.overshoot_tokens) for labels, tally in rows), (of_holds, holds_tokens)):
        family.add_sample("kvot_overshoot_tokens_total", labels, tokens)
    return family


def _histogram(name: str, help_: str, rows: list[tuple[dict[str, str], Spread]]) -> Metric:
    family = HistogramMetricFamily(name, help_)
    for labels, spread in rows:
        count = 0
        for edge, each in zip((*map(str, spread.edges), "+Inf"), spread.counts, strict=True):
            count += each
            family.add_sample(f"{name}_bucket", {**labels, "le": edge}, count)
        family.add_sample(f"{name}_count", labels, count)
        family.add_sample(f"{name}_sum", labels, spread.total)
    return family
