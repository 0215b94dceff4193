import pytest

from tests.cli.support import ACME


def test_a_budget_is_the_default_until_it_is_set(kvot):
    kvot("record", "--company", ACME, "--tokens", 1)
    assert kvot("budget", "show", "--company", ACME, "--json").document["isDefault"] is True
    assert "the default applies" in kvot("budget", "history", "--company", ACME).out
    reply = kvot("budget", "set", "--company", ACME, "--token-limit", 500, "--reason", "trial", "--json").document
    assert (reply["tokenLimit"], reply["windowDays"], reply["isDefault"]) == (500, 30, False)


def test_the_history_says_what_who_and_why(kvot):
    kvot("budget", "set", "--company", ACME, "--token-limit", 5_000, "--reason", "trial")
    kvot("budget", "set", "--company", ACME, "--window-days", 7)
    header, first, second = kvot("budget", "history", "--company", ACME).out.splitlines()
    assert header.split() == ["since", "limit", "window", "by", "reason"]
    assert first.split()[3:] == ["5,000", "30", "days", "cli", "trial"]
    assert second.split()[3:] == ["5,000", "7", "days", "cli"]


@pytest.mark.parametrize(
    "arguments", [(), ("--token-limit", -1), ("--token-limit", 2**31), ("--window-days", 0), ("--window-days", 401)]
)
def test_a_bad_budget_is_refused_and_the_old_one_stays(kvot, arguments):
    kvot("budget", "set", "--company", ACME, "--token-limit", 500)
    ran = kvot("budget", "set", "--company", ACME, *arguments)
    assert ran.code == 1
    assert "Token Limit" in ran.err or "TokenLimit" in ran.err or "Window" in ran.err
    assert kvot("budget", "show", "--company", ACME, "--json").document["tokenLimit"] == 500


@pytest.mark.parametrize("limit", [-5, 5_000_000_000])
@pytest.mark.parametrize("where", [(), ("--url", "http://127.0.0.1:9")])
def test_a_limit_out_of_its_range_is_told_with_the_range_wherever_it_was_to_go(kvot, limit, where):
    ran = kvot.bare("budget", "set", "--company", ACME, "--token-limit", limit, *where)
    assert (ran.code, f"between 0 and 2147483647. You entered {limit}." in ran.err) == (1, True)


def test_a_reason_that_is_not_text_is_refused_in_one_line_and_the_old_budget_stays(kvot):
    """An argument with bytes that are not UTF-8 comes with half pairs of surrogates in their place."""
    ran = kvot("budget", "set", "--company", ACME, "--token-limit", 500, "--reason", "caf\udce9")
    assert ran == (1, "", "kvot: 'Reason' is not in the correct format: it has bytes that are not UTF-8.\n")
    assert kvot("budget", "show", "--company", ACME, "--json").document["isDefault"] is True
