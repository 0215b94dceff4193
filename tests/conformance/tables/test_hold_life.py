"""A hold's whole life, as stories: every status, and which one wins where several could apply.

Each story starts from nothing, with a limit of 100 tokens in 30 days; a hold lasts 1000 ms. `send` marks a hold as
sent, `later` renews it by 1000 ms, `record` and `correct` write events (a correction's id is made of its target's).
After each line the answer's status, the hold's state, and the company's used and held tokens are compared.
"""

import pytest

from kvot.core.model import Decision, HoldChange, Recorded
from tests.conformance.scene import T0, Scene

TTL = 1000

STORIES = {
    "settled in time": """
        # op      id  tokens  at_ms  status      state    used  held
        reserve   a       80      0  done        open        0    80
        send      a        -     10  done        open        0    80
        send      a        -     11  replayed    open        0    80
        settle    a       60     20  done        settled    60     0
        settle    a       60     30  replayed    settled    60     0
        settle    a       61     30  conflict    settled    60     0
        release   a        -     30  conflict    settled    60     0
        later     a        -     30  closed      settled    60     0
        send      a        -     30  replayed    settled    60     0
        reserve   a       80     30  replayed    settled    60     0
        reserve   a       81     30  conflict    settled    60     0
        settle    a       60   5000  replayed    settled    60     0
    """,
    "settled without being sent": """
        reserve   a       80      0  done        open        0    80
        settle    a       60     20  done        settled    60     0
        send      a        -     30  closed      settled    60     0
    """,
    "released in time": """
        reserve   a       80      0  done        open        0    80
        send      a        -     10  done        open        0    80
        release   a        -     20  done        released    0     0
        release   a        -     30  replayed    released    0     0
        settle    a       60     30  conflict    released    0     0
        settle    a        0     30  conflict    released    0     0
        later     a        -     30  closed      released    0     0
        reserve   a       80     30  replayed    released    0     0
        release   a        -   5000  replayed    released    0     0
    """,
    "ran out unsent": """
        reserve   a       80      0  done        open        0    80
        look      a        -    999  done        open        0    80
        look      a        -   1000  done        expired     0     0
        send      a        -   1000  closed      expired     0     0
        later     a        -   1000  closed      expired     0     0
        release   a        -   1000  replayed    expired     0     0
        reserve   a       80   1000  replayed    expired     0     0
        reserve   a       81   1000  conflict    expired     0     0
        settle    a       60   2000  done        settled    60     0
        settle    a       60   3000  replayed    settled    60     0
        settle    a       80   3000  conflict    settled    60     0
        release   a        -   3000  conflict    settled    60     0
    """,
    "ran out sent": """
        reserve   a       80      0  done        open        0    80
        send      a        -    999  done        open        0    80
        look      a        -    999  done        open        0    80
        look      a        -   1000  done        charged    80     0
        send      a        -   1000  replayed    charged    80     0
        later     a        -   1000  closed      charged    80     0
        reserve   a       80   1000  replayed    charged    80     0
        settle    a       60   2000  done        settled    60     0
        settle    a       60   3000  replayed    settled    60     0
        settle    a       61   3000  conflict    settled    60     0
        release   a        -   3000  conflict    settled    60     0
    """,
    "ran out sent, then released": """
        reserve   a       80      0  done        open        0    80
        send      a        -    500  done        open        0    80
        release   a        -   1000  done        released    0     0
        release   a        -   2000  replayed    released    0     0
        settle    a       60   2000  conflict    released    0     0
        reserve   a       80   2000  replayed    released    0     0
    """,
    "sent too late": """
        reserve   a       80      0  done        open        0    80
        send      a        -   1000  closed      expired     0     0
        look      a        -   1001  done        expired     0     0
    """,
    "settled in the very last millisecond": """
        reserve   a       80      0  done        open        0    80
        send      a        -      0  done        open        0    80
        settle    a       60    999  done        settled    60     0
        look      a        -   1000  done        settled    60     0
    """,
    "kept alive": """
        reserve   a       80      0  done        open        0    80
        later     a        -    999  done        open        0    80
        look      a        -   1998  done        open        0    80
        later     a        -   1998  done        open        0    80
        send      a        -   2997  done        open        0    80
        look      a        -   2998  done        charged    80     0
        later     a        -   2998  closed      charged    80     0
    """,
    "room for one": """
        reserve   a       80      0  done        open        0    80
        reserve   b       21      1  over_limit  -           0    80
        reserve   b       20      1  done        open        0   100
        reserve   c        1      2  over_limit  -           0   100
        reserve   c        0      2  done        open        0   100
        settle    a       30      3  done        settled    30    20
        reserve   d       50      3  done        open       30    70
        reserve   e        1      3  over_limit  -          30    70
        release   b        -      4  done        released   30    50
        reserve   e       20      4  done        open       30    70
        reserve   e       20   1004  replayed    expired    30     0
    """,
    "room that comes back at the instant of expiry": """
        reserve   a      100      0  done        open        0   100
        reserve   b      100    999  over_limit  -           0   100
        reserve   b      100   1000  done        open        0   100
        reserve   c        1   1999  over_limit  -           0   100
        reserve   c        1   2000  done        open        0     1
    """,
    "a charge takes the place of its hold": """
        reserve   a       80      0  done        open        0    80
        send      a        -      0  done        open        0    80
        reserve   b       21   1000  over_limit  -          80     0
        reserve   b       20   1000  done        open       80    20
        settle    a       95   1001  done        settled    95    20
        reserve   c        1   1001  over_limit  -          95    20
        settle    b        0   1002  done        settled    95     0
        reserve   c        5   1002  done        open       95     5
    """,
    "nobody": """
        send      a        -      0  not_found   -           0     0
        later     a        -      0  not_found   -           0     0
        settle    a       60      0  not_found   -           0     0
        release   a        -      0  not_found   -           0     0
        look      a        -      0  not_found   -           0     0
    """,
    "above the limit": """
        record    e      120      0  done        -         120     0
        reserve   a        0      0  over_limit  -         120     0
        correct   e      -21      0  done        -          99     0
        reserve   a        1      0  done        open       99     1
        settle    a       50      1  done        settled   149     0
        reserve   b        0      1  over_limit  -         149     0
    """,
    "a charge that was corrected": """
        reserve   a       80      0  done        open        0    80
        send      a        -      0  done        open        0    80
        correct   hold→a -80   1000  done        -           0     0
        correct   hold→a  -1   1000  conflict    -           0     0
        settle    a       60   1001  done        settled    60     0
        settle    a       60   1002  replayed    settled    60     0
    """,
    "a clock that stands still": """
        reserve   a       80   5000  done        open        0    80
        reserve   b       10      0  done        open        0    90
        look      b        -   5999  done        open        0    90
        look      b        -   6000  done        expired     0     0
        settle    a       60      0  done        settled    60    10
        look      b        -   6000  done        expired    60     0
    """,
}


@pytest.mark.parametrize("story", STORIES)
async def test_a_hold_lives_as_its_story_says(scene: Scene, story: str):
    await play(scene, story)


async def play(scene: Scene, story: str) -> None:
    await scene.set_budget(100)
    for line in STORIES[story].strip().splitlines():
        op, hold_id, tokens, at_ms, *expected = line.split()
        if op != "#":
            answer = await act(scene, op, hold_id, 0 if tokens == "-" else int(tokens), T0 + int(at_ms))
            assert answer == expected, line


async def act(scene: Scene, op: str, hold_id: str, tokens: int, now_ms: int) -> list[str]:
    """Carry out one line and write the answer as the line would."""
    answer: Decision | HoldChange | Recorded
    match op:
        case "reserve":
            answer = await scene.reserve(hold_id, tokens, ttl_ms=TTL, now_ms=now_ms)
        case "send":
            answer = await scene.dispatch(hold_id, now_ms=now_ms)
        case "later":
            answer = await scene.renew(hold_id, TTL, now_ms=now_ms)
        case "settle":
            answer = await scene.settle(hold_id, tokens, now_ms=now_ms)
        case "release":
            answer = await scene.release(hold_id, now_ms=now_ms)
        case "look":
            answer = await scene.hold(hold_id, now_ms=now_ms)
        case "record":
            answer = await scene.record(hold_id, tokens, now_ms=now_ms)
        case "correct":
            answer = await scene.correct(f"c-{hold_id[-1]}", hold_id, tokens, now_ms=now_ms)
        case _:
            raise AssertionError(op)
    # A refused reserve has no hold to show; neither has an event.
    hold = getattr(answer, "hold", None)
    shown = hold or (op == "reserve" and (await scene.hold(hold_id, now_ms=now_ms)).hold)
    state = shown.state.value if shown else "-"
    return [answer.status.value, state, str(answer.usage.tokens_used), str(answer.usage.tokens_held)]
