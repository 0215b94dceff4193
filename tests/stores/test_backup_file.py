"""A backup is whole, or it is refused."""

import gzip
import hashlib
import stat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.archive import Events, Holds, KeptHold, Keys, LedgerEnd, LedgerStart, SealedKeys, StoredReplies
from kvot.core.budget import Budget, BudgetChange
from kvot.core.errors import Conflict, InvalidRequest
from kvot.core.keys import ApiKey
from kvot.core.model import CallDetail, Event, Hold, HoldState, Kind, Settlement, Source
from kvot.core.provider_keys import SealedKey
from kvot.core.stored_replies import StoredReply
from kvot.stores.backup_file import BackupReader, BackupWriter
from kvot.stores.transfer import LedgerSum, Summary

COMPANY = "11111111-1111-4111-8111-111111111111"
DETAIL = CallDetail("p", "m", None, 'ü"\n', 1, None, 0, 2)
START = LedgerStart(COMPANY, 9, 0, 5, False, (BudgetChange(3, Budget(0, 1), "ann", None),))
EVENTS = Events(
    [
        Event("a", 7, True, 3, Kind.USAGE, Source.REPORTED, DETAIL),
        Event("late→h", 7, False, -1, Kind.CORRECTION, Source.CORRECTED, CallDetail(), "a", "why"),
        Event("hold→i", 7, False, 5, Kind.SETTLEMENT, Source.REPORTED, DETAIL, receipt='{"endpoint":"chat"}'),
    ]
)
HOLD = Hold("h", 4, 1000, True, None, "m", None, None, 5, 1005, HoldState.SETTLED, 6, 3)
HOLDS = Holds([KeptHold(HOLD, False, Settlement(3, Source.PARTIAL, DETAIL))])
KEYS = Keys([ApiKey("k", bytes(range(32)), COMPANY, frozenset({"b", "a"}), None, 1, "ann", None, 8, ("::1/128",))])
REPLIES = StoredReplies([StoredReply("openai", "resp_ü", 8), StoredReply("openai", "resp_2", 9, 21)])
SEALED_KEYS = SealedKeys([SealedKey(COMPANY, "openai", bytes(range(32)), 1, "ann")])


def parts():
    total = LedgerSum(START)
    total.add(EVENTS)
    total.add(HOLDS)
    total.add(REPLIES)
    return [START, EVENTS, HOLDS, REPLIES, total.end(), KEYS, SEALED_KEYS]


END = next(part for part in parts() if isinstance(part, LedgerEnd))


async def write(path):
    writer = BackupWriter(path)
    for part in parts():
        await writer.write(part)
    await writer.commit()
    await writer.close()


async def read(path):
    with BackupReader(path) as reader:
        return [part async for part in reader.parts()]


@pytest.fixture
async def file(tmp_path):
    await write(tmp_path / "backup")
    return tmp_path / "backup"


async def test_it_says_what_was_written(file):
    assert await read(file) == parts()


async def test_two_backups_of_the_same_are_the_same_bytes(file, tmp_path):
    await write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


OLD = [
    b'["kvot backup",1]',
    b'["start",["11111111-1111-4111-8111-111111111111",9,0,5,false,[[3,[0,1],"ann",null]]]]',
    b'["events",[[["a",7,true,3,"usage","reported",["p","m",null,"\xc3\xbc\\"\\n",1,null,0,2],null,null],'
    b'["late\xe2\x86\x92h",7,false,-1,"correction","corrected",'
    b'[null,null,null,null,null,null,null,null],"a","why"]]]]',
    b'["holds",[[[["h",4,1000,true,null,"m",null,null,5,1005,"settled",6,3],false,'
    b'[3,"partial",["p","m",null,"\xc3\xbc\\"\\n",1,null,0,2]]]]]]',
    b'["replies",[[["openai","resp_\xc3\xbc",8]]]]',
    b'["end",["11111111-1111-4111-8111-111111111111",2,2,1,0,'
    b'"5719b9895671374a9a3f882ef1beec245eacb3e37c682bd8d5f63d9d499844f5"]]',
]
"""As it was written before events had receipts."""


async def test_a_backup_from_before_there_were_receipts_is_read_and_its_digests_hold(tmp_path):
    text = b"".join(line + b"\n" for line in OLD)
    end = f'["end of backup",{len(OLD)},"{hashlib.sha256(text).hexdigest()}"]\n'
    (tmp_path / "old").write_bytes(gzip.compress(text + end.encode()))
    summary, found = Summary(), await read(tmp_path / "old")
    for part in found:
        summary.add(part)
    assert found[1] == Events(EVENTS.events[:2])
    assert summary.ends[COMPANY].events == 2


async def test_its_owner_alone_may_read_it(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_wherever_it_is_cut_off_it_is_refused(file):
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InvalidRequest, match="cannot be restored"):
            await read(file)


async def test_whichever_line_is_missing_it_is_refused(file):
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    for number in range(len(lines)):
        file.write_bytes(gzip.compress(b"".join(lines[:number] + lines[number + 1 :])))
        with pytest.raises(InvalidRequest) as refused:
            await read(file)
        assert refused.value.code == "DamagedBackup"


async def test_whichever_byte_of_what_it_holds_is_another_it_is_refused(file):
    content = gzip.decompress(file.read_bytes())
    for place in range(len(content)):
        file.write_bytes(gzip.compress(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], 1))
        with pytest.raises(InvalidRequest):
            await read(file)


async def test_what_follows_its_end_is_refused(file):
    file.write_bytes(file.read_bytes() + gzip.compress(b"[]\n"))
    with pytest.raises(InvalidRequest, match="follows its end"):
        await read(file)


async def test_a_newer_format_is_said_to_be_newer(file):
    file.write_bytes(gzip.compress(b'["kvot backup",3]\n'))
    with pytest.raises(InvalidRequest, match="newer Kvot"):
        await read(file)


async def test_another_file_is_no_backup(file):
    for content in (b"", b"no gzip", gzip.compress(b"hello\n"), gzip.compress(b'["x",1]\n'), gzip.compress(b"[]\n")):
        file.write_bytes(content)
        with pytest.raises(InvalidRequest):
            await read(file)


async def test_a_file_that_is_there_is_not_written_over(file):
    before = file.read_bytes()
    with pytest.raises(Conflict):
        BackupWriter(file)
    assert file.read_bytes() == before


async def test_what_was_not_committed_leaves_nothing(tmp_path):
    writer = BackupWriter(tmp_path / "backup")
    await writer.write(START)
    await writer.close()
    assert list(tmp_path.iterdir()) == []


@given(st.permutations([*EVENTS.events, *HOLDS.holds, *REPLIES.replies]), st.integers(0, 3))
def test_a_ledgers_sum_does_not_hang_on_the_order_of_its_parts(rows, cut):
    total = LedgerSum(START)
    for part in (rows[:cut], rows[cut:]):
        total.add(Events([row for row in part if isinstance(row, Event)]))
        total.add(Holds([row for row in part if isinstance(row, KeptHold)]))
        total.add(StoredReplies([row for row in part if isinstance(row, StoredReply)]))
    assert total.end() == END


@pytest.mark.parametrize(
    "other",
    [
        Events(EVENTS.events[:-1]),
        Events([*EVENTS.events[:-1], EVENTS.events[0]]),
        Events([EVENTS.events[0]._replace(at_ms=8), *EVENTS.events[1:]]),
        Events([EVENTS.events[0]._replace(at_given=False), *EVENTS.events[1:]]),
        Events([*EVENTS.events[:-1], EVENTS.events[-1]._replace(receipt='{"endpoint":"responses"}')]),
        Events([*EVENTS.events[:-1], EVENTS.events[-1]._replace(receipt=None)]),
    ],
)
def test_another_ledger_comes_to_another_sum(other):
    total = LedgerSum(START)
    total.add(other)
    total.add(HOLDS)
    total.add(REPLIES)
    assert total.end().digest != END.digest


@pytest.mark.parametrize("change", [{"reply_id": "resp_u"}, {"tokens": 20}, {"tokens": None}])
def test_a_ledger_whose_replies_are_others_comes_to_another_sum(change):
    total = LedgerSum(START)
    total.add(EVENTS)
    total.add(HOLDS)
    total.add(StoredReplies([REPLIES.replies[0], REPLIES.replies[1]._replace(**change)]))
    assert total.end().digest != END.digest


def test_a_backup_from_before_the_tokens_of_replies_were_kept_holds():
    """Of its sum too, which it has within it."""
    old = msgspec.json.decode(b'[[["openai","resp_1",8]]]', type=StoredReplies)
    total = LedgerSum(START)
    total.add(old)
    assert old == StoredReplies([StoredReply("openai", "resp_1", 8)])
    assert total.end().digest == "da40568fbda7763a7198ae5439b012c225182407084756591a52a322c805d216"
