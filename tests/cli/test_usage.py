import pytest

from tests.cli.support import ACME, NOW_MS, OTHER

HOUR_MS = 3_600_000


def test_what_is_recorded_is_used(kvot):
    reply = kvot("record", "--company", ACME.upper(), "--tokens", 120, "--json").document
    assert (reply["companyId"], reply["tokensUsed"], reply["isWithinBudget"]) == (ACME, 120, True)
    report = kvot("usage", "--company", ACME, "--json").document
    assert (report["tokensUsed"], report["tokenLimit"], report["tokensRemaining"]) == (120, 1_000_000, 999_880)


def test_people_read_separators_shares_and_a_verdict(kvot):
    kvot("record", "--company", ACME, "--tokens", 1_234_567)
    lines = kvot("usage", "--company", ACME).out.splitlines()
    assert "used           1,234,567  (123.5 %)" in lines
    assert "within budget  no" in lines
    assert "remaining      0" in lines
    assert "overspent      234,567" in lines


def test_an_id_counts_once(kvot):
    said = ("record", "--company", ACME, "--tokens", 7, "--id", "chat-1", "--json")
    kvot(*said)
    ran = kvot(*said)
    assert ran.document["tokensUsed"] == 7
    ran = kvot("record", "--company", ACME, "--tokens", 8, "--id", "chat-1")
    assert (ran.code, "chat-1" in ran.err) == (1, True)


def test_with_a_time_it_counts_then_and_with_a_window_for_so_long(kvot):
    at_ms = NOW_MS - 50 * HOUR_MS
    for _ in range(2):
        kvot("record", "--company", ACME, "--tokens", 7, "--id", "late", "--at", at_ms)
    assert kvot("usage", "--company", ACME, "--json").document["tokensUsed"] == 7
    assert kvot("usage", "--company", ACME, "--window-days", 2, "--json").document["tokensUsed"] == 0
    assert kvot("usage", "--company", ACME, "--at", at_ms - 1, "--json").document["tokensUsed"] == 0
    assert kvot("usage", "--company", ACME, "--at", at_ms, "--json").document["tokensUsed"] == 7


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--tokens", 0), "greater than"),
        (("--tokens", -5), "greater than"),
        (("--tokens", 2**63), "between"),
        (("--tokens", 5, "--id", "with blank"), "correct format"),
        (("--tokens", 5, "--at", "2999-01-01"), "future"),
        (("--tokens", 5, "--at", "1999-01-01"), "before what the ledger keeps"),
    ],
)
def test_a_bad_event_is_refused_and_nothing_counted(kvot, arguments, word):
    kvot("record", "--company", ACME, "--tokens", 1)
    ran = kvot("record", "--company", ACME, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert word in ran.err
    assert kvot("usage", "--company", ACME, "--json").document["tokensUsed"] == 1


def test_the_operator_has_to_name_a_company(kvot):
    kvot("record", "--company", OTHER, "--tokens", 1)
    ran = kvot("usage")
    assert (ran.code, ran.err) == (1, "kvot: Name a company with --company.\n")


def test_people_read_whose_tokens_they_are(kvot):
    rows = f"at,tokens,company,model\n{NOW_MS},300,{ACME},large\n{NOW_MS},99,{ACME},sm\x1b[31mall\n{NOW_MS},1,{ACME},\n"
    kvot("import", kvot.file("usage.csv", rows))
    ran = kvot("usage", "--company", ACME, "--by", "model")
    assert [line.split() for line in ran.out.splitlines()[:2]] == [
        ["model", "tokens", "share", "events", "input", "output"],
        ["large", "300", "75.0", "%", "1", "0", "0"],
    ]
    assert ("\x1b" in ran.out, "(none said)" in ran.out) == (False, True)
    told = kvot("usage", "--company", ACME, "--by", "model", "--json").document
    assert [each["tokens"] for each in told["results"]] == [300, 99, 1]


def test_where_small_shares_are_left_out_it_is_said_what_the_others_are_shares_of(kvot):
    rows = "".join(f"{NOW_MS},1,{ACME},m{number}\n" for number in range(1_002))
    kvot("import", kvot.file("usage.csv", f"at,tokens,company,model\n{rows}"))
    ran = kvot("usage", "--company", ACME, "--by", "model")
    assert len(ran.out.splitlines()) == 1_001
    assert ran.err == "2 smaller ones are left out: the shares are those of what is listed.\n"


def test_nothing_used_is_said_and_what_cannot_be_told_apart_is_refused(kvot):
    kvot("record", "--company", OTHER, "--tokens", 1)
    assert kvot("usage", "--company", ACME, "--by", "user").out.startswith("No tokens were used from 20")
    ran = kvot("usage", "--company", ACME, "--by", "colour")
    assert (ran.code, "must be one of provider, model, user" in ran.err) == (1, True)
