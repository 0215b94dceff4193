import csv
import io
import json
import os
import pty
import signal
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from kvot.cli.summary import Summary
from kvot.operations.imports import Tally
from tests.cli.support import ACME, NOW_MS, OTHER, start
from tests.cli.test_serve import make_key, serving

DAY_MS = 86_400_000


def iso(at_ms):
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


AT = iso(NOW_MS - DAY_MS)
TRACE = f"TIMESTAMP,ContextTokens,GeneratedTokens\n{AT}.6805900,374,44\n{AT}.9951690,396,109\n"


def used(kvot, company=ACME):
    return kvot("usage", "--company", company, "--json").document["tokensUsed"]


FORMS = {
    "comma": TRACE,
    "semicolon": TRACE.replace(",", ";"),
    "tab": TRACE.replace(",", "\t"),
    "windows": "\ufeff" + TRACE.replace("\n", "\r\n"),
    "no last newline": TRACE.rstrip("\n"),
    "blank lines": TRACE.replace("\n", "\n\n"),
    "quoted": TRACE.replace("374", '"374"').replace("TIMESTAMP", '"TIMESTAMP"'),
    "epoch ms": f"time,prompt_tokens,completion_tokens\n{NOW_MS - 5},374,44\n{NOW_MS - 4},396,109\n",
    "epoch s": f"time,tokens\n{NOW_MS // 1000 - 5},418\n{NOW_MS // 1000 - 4}.25,505\n",
    "json lines": f'{{"at":"{AT}","tokens":418}}\n{{"timestamp":{NOW_MS},"input":396,"output":109}}\n',
    "array": f'[{{"at":"{AT}","tokens":418}},\n {{"ts":"/Date({NOW_MS})/","inputTokens":"396","outputTokens":109}}]',
    "array on one line": f'[{{"at":"{AT}","tokens":418}},{{"at":"{AT}","tokens":505,"extra":[{{}}]}}]',
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_every_form_of_file_gives_the_same_usage_and_counts_once(kvot, content):
    file = kvot.file("usage", content)
    first = kvot("import", file, "--company", ACME, "--json")
    again = kvot("import", file, "--company", ACME, "--json")
    assert first.document == {"accepted": 2, "duplicate": 0, "refused": 0, "isComplete": True}
    assert again.document == {"accepted": 0, "duplicate": 2, "refused": 0, "isComplete": True}
    assert (first.code, again.code, used(kvot)) == (0, 0, 374 + 44 + 396 + 109)


def test_columns_of_other_names_are_mapped(kvot):
    file = kvot.file("odd.csv", f"when,who,in,out\n{AT},{OTHER},3,4\n")
    names = ("--map", "at=when", "--map", "company=who", "--map", "input=in", "--map", "output=out")
    assert kvot("import", file, *names).code == 0
    assert used(kvot, OTHER) == 7


def test_a_row_names_its_company_or_has_that_of_the_command(kvot):
    file = kvot.file("two.csv", f"company_id,tokens\n{OTHER.upper()},5\n,7\n{{{OTHER}}},1\n")
    assert kvot("import", file, "--company", ACME, "--at", "now").code == 0
    assert (used(kvot), used(kvot, OTHER)) == (7, 6)


def test_a_row_without_any_company_is_refused(kvot):
    file = kvot.file("none.csv", f"company,tokens\n,7\n{OTHER},1\n")
    ran = kvot("import", file, "--json", "--at", "now")
    assert ran.code == 1
    assert json.loads(ran.out.splitlines()[0])["errorCode"] == "Forbidden"
    assert ran.last_line["accepted"] == 1


# A bad line between two good ones, and the code with which it is refused.
BAD = [
    (b'a,"5,2026-01-01', "InvalidCsv"),
    (b'a,"5"x,2026-01-01', "InvalidCsv"),
    (b"a,5", "TooFewColumns"),
    (b"a,5,2026-11-01,extra", "TooManyColumns"),
    (b"a,-5,%s", "InclusiveBetween"),
    (b"a,0,%s", "InclusiveBetween"),
    (b"a,9223372036854775808,%s", "InclusiveBetween"),
    (b"a,%b,%%s" % (b"9" * 40), "InvalidNumber"),
    (b"a,1_000,%s", "InvalidNumber"),
    (b"a,five,%s", "InvalidNumber"),
    (b"a,5.0,%s", "InvalidNumber"),
    (b"a,,%s", "InclusiveBetween"),
    (b"a,5,yesterday", "InvalidDate"),
    (b"a,5,", "InvalidDate"),
    (b"a,5,2026-13-01", "InvalidDate"),
    (b"a,5,2999-01-01", "InFuture"),
    (b"a,5,1999-01-01", "BeyondRetention"),
    (b"a,5,0", "InclusiveBetween"),
    (b"good1,6,%s", "Conflict"),
    (b"a b,5,%s", "RegularExpression"),
    (b"\xff,5,%s", "InvalidUtf8"),
    (b"a,5,%s" + b" " * 70_000, "LineTooLong"),
    (b"a" * 400_000, "LineTooLong"),
]


@pytest.mark.parametrize(("line", "code"), BAD, ids=[f"{code} {line[:16]!r}" for line, code in BAD])
def test_a_bad_line_is_refused_by_number_and_never_stops_good_ones(kvot, line, code):
    at = AT.encode()
    line = line.replace(b"%s", at)
    content = b"id,tokens,at\ngood1,7,%b\n%b\ngood2,8,%b\n" % (at, line, at)
    ran = kvot("import", kvot.file("bad.csv", content), "--company", ACME, "--json")
    refusals = [json.loads(each) for each in ran.out.splitlines()[:-1]]
    assert [(each["line"], each["errorCode"]) for each in refusals] == [(3, code)]
    assert (ran.code, ran.last_line["accepted"], ran.last_line["refused"], ran.err) == (1, 2, 1, "")
    assert used(kvot) == 15


def test_a_bad_guid_is_refused(kvot):
    file = kvot.file("bad.csv", f"company,tokens\n{ACME},7\nacme,5\n{ACME},8\n")
    ran = kvot("import", file, "--json", "--at", "now")
    assert json.loads(ran.out.splitlines()[0])["errorCode"] == "InvalidGuid"
    assert used(kvot) == 15


BAD_JSON = [
    ('{"id":"a","tokens":5', "InvalidJson"),
    ("[1]", "InvalidJson"),
    ('{"id":"a","tokens":true}', "InvalidNumber"),
    ('{"id":"a","tokens":[5]}', "InvalidNumber"),
    ('{"id":{},"tokens":5}', "InvalidText"),
    ('{"id":"a","tokens":5,"at":{}}', "InvalidDate"),
    ('{"id":"a","tokens":5,"company":7}', "InvalidGuid"),
    ('{"id":"a"}', "InclusiveBetween"),
]


@pytest.mark.parametrize(("line", "code"), BAD_JSON)
def test_a_bad_json_line_is_refused_by_number_and_never_stops_good_ones(kvot, line, code):
    content = f'{{"id":"1","tokens":7}}\n{line}\n\n{{"id":"2","tokens":8}}\n'
    ran = kvot("import", kvot.file("bad.jsonl", content), "--company", ACME, "--json", "--at", "now")
    refusals = [json.loads(each) for each in ran.out.splitlines()[:-1]]
    assert [(each["line"], each["errorCode"]) for each in refusals] == [(2, code)]
    assert used(kvot) == 15


@pytest.mark.parametrize("rest", ['{"tokens"', "nonsense]", '"text"', ""])
def test_an_array_is_counted_up_to_where_it_breaks_and_the_break_is_told(kvot, rest):
    file = kvot.file("cut.json", f'[{{"tokens":7}},\n{{"tokens":8}},\n{rest}')
    ran = kvot("import", file, "--company", ACME, "--json", "--at", "now")
    refusals = [json.loads(each) for each in ran.out.splitlines()[:-1]]
    assert (3, 3) in [(each["line"], each["element"]) for each in refusals]
    assert (ran.code, ran.last_line["accepted"]) == (1, 2)
    assert ran.last_line["refused"] >= 1
    assert used(kvot) == 15


# Files of which nothing can be made, and what the message must name.
HOPELESS = [
    (b"", "header"),
    (b"\n\n", "header"),
    (b"colour,shape\nred,round\n", "--map"),
    (b'"id,tokens\n1,2\n', "header"),
    ("id,tokens\n1,2\n".encode("utf-16"), "UTF-16"),
]


@pytest.mark.parametrize(("content", "word"), HOPELESS)
def test_a_file_of_which_nothing_can_be_made_is_said_to_be_one(kvot, content, word):
    ran = kvot("import", kvot.file("x", content), "--company", ACME)
    assert ran.code == 2
    assert word in ran.err


def test_a_column_that_is_mapped_but_missing_is_named(kvot):
    ran = kvot("import", kvot.file("x.csv", TRACE), "--map", "at=WHEN")
    assert (ran.code, "WHEN" in ran.err) == (2, True)


def test_twenty_refusals_are_shown_and_all_are_written(kvot):
    file = kvot.file("bad.csv", "tokens\n" + "0\n" * 25 + "5\n")
    words = ("--at", "now", "--refused", kvot.folder / "refused.csv")
    ran = kvot("import", file, "--company", ACME, *words)
    assert ran.out.count("InclusiveBetween") == 20
    assert "and 5 more" in ran.out
    assert ran.out.split()[-6:] == ["accepted", "1", "duplicate", "0", "refused", "25"]
    written = list(csv.DictReader(io.StringIO((kvot.folder / "refused.csv").read_text())))
    assert [each["line"] for each in written] == [str(number) for number in range(2, 27)]


def test_several_files_have_one_summary_and_tell_their_lines_apart(kvot):
    one, two = kvot.file("1.csv", "tokens\n5\n0\n"), kvot.file("2.csv", "tokens\n6\n")
    ran = kvot("import", one, two, "--company", ACME, "--at", "now")
    assert "1.csv:3" in ran.out
    assert used(kvot) == 11


def test_details_are_kept(kvot):
    file = kvot.file("d.csv", "tokens,model,provider,user,feature,cached,reasoning\n5,m,p,u,f,1,2\n6,,,,,,\n")
    assert kvot("import", file, "--company", ACME, "--at", "now", "--json").document["accepted"] == 2


# Files with a row that says no time, and where it stands.
UNTIMED = {
    "u.csv": ("tokens\n5\n", {"line": 2}),
    "u.jsonl": (f'{{"tokens":7,"at":{NOW_MS}}}\n{{"tokens":5}}\n', {"line": 2}),
    "u.json": (f'[{{"tokens":7,"at":{NOW_MS}}},{{"tokens":5,"at":null}}]', {"line": 1, "element": 2}),
}


@pytest.mark.parametrize("name", UNTIMED)
def test_a_row_without_a_time_is_refused_with_its_place_unless_it_is_said_when_it_counts(kvot, name):
    content, place = UNTIMED[name]
    file = kvot.file(name, content)
    ran = kvot("import", file, "--company", ACME, "--json")
    told = json.loads(ran.out.splitlines()[0])
    assert (ran.code, told.items() >= (place | {"errorCode": "NoTime"}).items()) == (1, True)
    accepted = ran.last_line["accepted"]
    for _ in range(2):
        ran = kvot("import", file, "--company", ACME, "--at", "now", "--json")
    assert (ran.code, ran.document["duplicate"], used(kvot)) == (0, accepted + 1, accepted * 7 + 5)


def test_rows_without_a_time_count_at_the_instant_that_is_said_and_others_at_their_own(kvot):
    file = kvot.file("u.json", f'[{{"tokens":7,"at":{NOW_MS - DAY_MS}}},{{"tokens":5}}]')
    assert kvot("import", file, "--company", ACME, "--at", AT[:10]).code == 0
    at = iso(NOW_MS - DAY_MS - 1000)
    assert kvot("usage", "--company", ACME, "--at", at, "--json").document["tokensUsed"] == 5
    assert used(kvot) == 12


def test_a_refused_element_of_an_array_on_one_line_is_named(kvot):
    at, refused = f'"at":{NOW_MS}', kvot.folder / "refused.csv"
    file = kvot.file("a.json", f'[{{"tokens":7,{at}}},{{"tokens":"x",{at}}},3,{{"tokens":0,{at}}}]')
    ran = kvot("import", file, "--company", ACME, "--refused", refused)
    assert ran.code == 1
    for element, code in ((2, "InvalidNumber"), (3, "InvalidJson"), (4, "InclusiveBetween")):
        assert any(f"a.json:1, element {element} " in line and code in line for line in ran.out.splitlines())
    rows = list(csv.DictReader(io.StringIO(refused.read_text())))
    assert sorted((each["line"], each["element"]) for each in rows) == [("1", "2"), ("1", "3"), ("1", "4")]


def test_a_great_file_is_counted_to_the_token_though_its_lines_cross_every_block(kvot):
    rows = 30_000
    content = "tokens,at\n" + "".join(f"{n % 97 + 1},{NOW_MS - rows + n}\n" for n in range(rows))
    ran = kvot("import", kvot.file("great.csv", content), "--company", ACME, "--json")
    assert ran.document["accepted"] == rows
    assert used(kvot) == sum(n % 97 + 1 for n in range(rows))
    assert kvot("verify").code == 0


def wait_until_counting(database, process):
    """The importer at work, seen from outside: a first batch is committed."""
    deadline = time.monotonic() + 60
    while not has_events(database):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline


def has_events(database):
    try:
        with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return bool(connection.execute("SELECT 1 FROM event LIMIT 1").fetchall())
    except apsw.Error:  # the database is only being made
        return False


def great_file(kvot, rows):
    content = "tokens,at\n" + "".join(f"3,{NOW_MS - rows + n}\n" for n in range(rows))
    return kvot.file("great.csv", content)


def test_an_import_that_was_killed_is_finished_by_running_it_again(kvot):
    rows = 200_000
    file = great_file(kvot, rows)
    process = start("import", file, "--company", ACME, "--database", kvot.database)
    wait_until_counting(kvot.database, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    partly = used(kvot)
    assert 0 < partly < 3 * rows
    ran = kvot("import", file, "--company", ACME, "--json").document
    assert (ran["duplicate"], ran["accepted"]) == (partly // 3, rows - partly // 3)
    assert used(kvot) == 3 * rows
    assert kvot("verify").code == 0


def test_ctrl_c_stops_after_the_batch_with_a_summary_of_what_is_safe(kvot):
    rows = 200_000
    process = start("import", great_file(kvot, rows), "--company", ACME, "--database", kvot.database, "--json")
    wait_until_counting(kvot.database, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    summary = json.loads(out)
    assert (process.returncode, summary["isComplete"]) == (130, False)
    assert "Stopping" in err
    assert "Traceback" not in err
    assert used(kvot) == 3 * summary["accepted"] < 3 * rows


def test_a_person_watching_sees_a_bar_on_standard_error(kvot):
    ours, theirs = pty.openpty()
    file, environment = great_file(kvot, 20_000), {"TERM": "xterm", "COLUMNS": "120"}
    words = ("import", file, "--company", ACME, "--database", kvot.database)
    process = start(*words, environment=environment, stderr=theirs)
    out, _ = process.communicate(timeout=60)
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, out.split()) == (0, ["accepted", "20,000", "duplicate", "0", "refused", "0"])
    assert "great.csv" in seen
    assert "20,000 rows" in seen
    assert "/s" in seen


@pytest.mark.parametrize("arguments", [("--company", ACME), ("--role", "usage-writer", "--company", OTHER)])
def test_a_key_that_may_not_import_is_told_alone(kvot, arguments):
    key, file = make_key(kvot, *arguments), kvot.file("u.csv", TRACE)
    with serving(kvot) as server:
        where = ("--company", ACME, "--url", server.url, "--api-key", key)
        ran, as_json = kvot.bare("import", file, *where), kvot.bare("import", file, *where, "--json")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert as_json.document["responseStatus"]["errorCode"] == "Forbidden"


@pytest.mark.parametrize(("may_go_on", "word"), [(False, "The rest was refused"), (True, "Run the same command again")])
def test_what_was_counted_before_the_end_is_told_with_how_to_go_on(capsys, may_go_on, word):
    summary = Summary(None, as_json=False)
    summary.add(Tally(3, 0, []))
    summary.stop(may_go_on=may_go_on)
    out = capsys.readouterr().out
    assert (out.split()[:2], word in out) == (["accepted", "3"], True)


def test_the_file_to_import_is_never_written_to(kvot):
    file = kvot.file("usage.csv", TRACE)
    ran = kvot("import", file, "--company", ACME, "--refused", str(file))
    assert (ran.code, "to be imported" in ran.err) == (2, True)
    assert Path(file).read_text() == TRACE
