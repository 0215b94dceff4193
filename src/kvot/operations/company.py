"""Whose ledger a call is about. The one place where a company that a request names meets the right to name it."""

from kvot.core.errors import Forbidden
from kvot.core.principal import Principal


def company_for(principal: Principal, named: str | None) -> str:
    """The company to act on: the one named if the principal may, otherwise the credential's.

    The refusal is the same whether the named company exists or not. Both ids are in canonical form.
    """
    own = principal.company_id
    if named is None or named == own:
        if own is None:
            raise Forbidden("The credential speaks for no company: name one as CompanyId.")
        return own
    if not principal.is_superadmin:
        raise Forbidden("The credential may not act for another company.")
    return named
