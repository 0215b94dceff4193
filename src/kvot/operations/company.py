"""Whose ledger a call is about. The one place where a company that a request names meets the right to name it."""

from kvot.core.errors import FieldError, Forbidden, InvalidRequest
from kvot.core.faults import fault
from kvot.core.principal import Principal

GUID_EMPTY = "00000000-0000-0000-0000-000000000000"
"""What stands in samples of requests, and in a GUID that nobody has set: no company."""

NO_COMPANY = "The credential speaks for no company: name one as CompanyId."


def company_for(principal: Principal, named: str | None) -> str:
    """The company to act on: the one named if the principal may, otherwise the credential's.

    The refusal is the same whether the named company exists or not. Both ids are in canonical form. Raises Forbidden,
    and InvalidRequest for the empty GUID, which it must be possible to read but which is nobody's.
    """
    own = principal.company_id
    if named is None or named == own:
        if own is None:
            raise Forbidden(NO_COMPANY)
        return own
    if not principal.is_superadmin:
        raise Forbidden("The credential may not act for another company.")
    if named == GUID_EMPTY:
        raise InvalidRequest.of_fields([no_company()])
    return named


def no_company() -> FieldError:
    message = "'Company Id' must not be empty: this is the id of the samples, and of no company."
    return fault("CompanyId", "NotEmpty", GUID_EMPTY, message)
