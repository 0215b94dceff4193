"""The interfaces that request types implement. Clients see them by name; generated classes declare them."""

from typing import Final

from kvot.contract.describe import Guid, Request


class ICompany(Request):
    """What a request has in common that concerns one company."""

    company_id: Guid | None = None


INTERFACES: Final[dict[str, type[Request]]] = {"ICompany": ICompany}
"""By name, as `Operation.implements` names them."""
