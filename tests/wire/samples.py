"""Values of the contract for round trips, drawn at random."""

from hypothesis import strategies as st

from kvot.contract.describe import Instant, Response
from kvot.contract.keeping import AiChatUsageRefusal, ImportAiChatUsageResponse
from kvot.contract.keys import ApiKeyInfo, ApiKeyQueryResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.contract.usage import AiChatUsageReportResponse, AiChatUsageResponse

LONGS = st.integers(-(2**63), 2**63 - 1)
INTS = st.integers(-(2**31), 2**31 - 1)
GUIDS = st.uuids().map(str)
INSTANTS = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(Instant)
# No surrogates: they have no form in UTF-8.
TEXTS = st.text(st.one_of(st.sampled_from(list('",:{}[]\\/\r\n\t <Åß')), st.characters(exclude_categories=["Cs"])))


def responses_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Response]:
    """Responses whose texts are drawn from `texts`."""
    errors = st.builds(
        ResponseError,
        error_code=texts,
        field_name=texts,
        message=texts,
        meta=st.none() | st.dictionaries(texts, texts, max_size=3),
    )
    statuses = st.builds(
        ResponseStatus,
        error_code=texts,
        message=texts,
        stack_trace=st.none(),
        errors=st.lists(errors, max_size=3),
        meta=st.none() | st.dictionaries(texts, texts, max_size=3),
    )
    keys = st.builds(
        ApiKeyInfo,
        id=texts,
        company_id=st.none() | GUIDS,
        name=st.none() | texts,
        roles=st.lists(texts, max_size=3),
        networks=st.lists(texts, max_size=3),
        created_at=INSTANTS,
        expires_at=st.none() | INSTANTS,
        revoked_at=st.none(),
    )
    refusals = st.builds(AiChatUsageRefusal, position=INTS, id=st.none() | texts, error_code=texts, message=texts)
    return st.one_of(
        st.builds(
            AiChatUsageResponse,
            company_id=GUIDS,
            tokens_used=LONGS,
            token_limit=INTS,
            tokens_remaining=LONGS,
            is_within_budget=st.booleans(),
            window_days=INTS,
            response_status=st.none() | statuses,
        ),
        st.builds(
            AiChatUsageReportResponse,
            company_id=GUIDS,
            at=INSTANTS,
            tokens_used=LONGS,
            tokens_held=LONGS,
            token_limit=INTS,
            tokens_remaining=LONGS,
            is_within_budget=st.booleans(),
            window_days=INTS,
            response_status=st.none(),
        ),
        st.builds(ErrorResponse, response_status=statuses),
        st.builds(ApiKeyQueryResponse, results=st.lists(keys, max_size=3), response_status=st.none()),
        st.builds(
            ImportAiChatUsageResponse,
            accepted=INTS,
            duplicate=INTS,
            refused=INTS,
            refusals=st.lists(refusals, max_size=3),
            response_status=st.none(),
        ),
    )


RESPONSES = responses_of(TEXTS)
USAGE = AiChatUsageResponse(
    company_id="2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f",
    tokens_used=120,
    token_limit=1000,
    tokens_remaining=880,
    is_within_budget=True,
    window_days=30,
)
