"""Making, listing and revoking keys, through the one door."""

from dataclasses import replace
from typing import Any, cast

import pytest

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyQuery, CreateApiKey, CreateApiKeyResponse, RevokeApiKey
from kvot.contract.routes import OPERATIONS
from kvot.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from kvot.core.keys import format_key, hash_secret, parse_key
from kvot.core.ledger import Ledger
from kvot.core.principal import SUPERADMIN, USAGE_WRITER, Principal
from kvot.core.store import Store
from kvot.operations import Caller, Services, perform
from kvot.operations.company import GUID_EMPTY
from kvot.operations.keys import create_key
from kvot.operations.services import ProviderKeys
from tests.http.auth.dict_keys import DictKeys
from tests.operations.support import open_services

NOW_MS = 1_790_000_000_000
COMPANY = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"
OTHER_COMPANY = "7d3e0a11-52a4-4c1b-8f60-0123456789ab"
PEPPER = b"p" * 32
GUID_KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
OPERATOR = Principal(None, None, frozenset({SUPERADMIN}), "operator")


@pytest.fixture
def services():
    ledger = Ledger(cast(Store, None), lambda: NOW_MS)  # keys need of the ledger only what time it is
    return Services(ledger, DictKeys(), PEPPER, lambda: "id", cast(ProviderKeys, None))


async def ask(services: Services, request: Any, who: Principal = OPERATOR) -> Any:
    return await perform(services, Caller(who), OPERATIONS[type(request).__name__.lower()], request)


async def create(services: Services, **members: Any) -> CreateApiKeyResponse:
    members.setdefault("company_id", COMPANY)
    return cast(CreateApiKeyResponse, await ask(services, CreateApiKey(**members)))


async def test_a_key_is_shown_once_and_kept_as_a_hash(services):
    made = await create(services, name="back end", roles=[USAGE_WRITER], networks=["192.0.2.0/24"])
    shown = parse_key(PEPPER, made.key or "")
    kept = services.keys.keys[made.result.id]
    assert made.key == format_key(shown.key_id, shown.secret)
    assert shown.key_id == made.result.id == kept.key_id
    assert kept.secret_hash == hash_secret(PEPPER, shown.secret)
    assert (kept.company_id, kept.roles, kept.networks) == (COMPANY, {USAGE_WRITER}, ("192.0.2.0/24",))
    assert (kept.created_at_ms, kept.created_by, kept.name) == (NOW_MS, "operator", "back end")
    assert shown.secret not in repr(kept)
    assert shown.secret not in repr(await ask(services, ApiKeyQuery()))


async def test_no_two_keys_are_alike(services):
    keys = {(await create(services)).key for _ in range(100)}
    assert len(keys) == len(services.keys.keys) == 100


async def test_no_key_is_made_under_a_secret_that_was_replaced():
    house = replace(open_services(), secret_check=b"first")
    await create(house)
    await house.keys.bind_secret(b"second", replaced_by="cli", now_ms=NOW_MS)
    for members in ({}, {"key": GUID_KEY}):
        with pytest.raises(Conflict, match="The secret of this server is not the one that keys are made under now"):
            await create(house, **members)
    assert len(await house.keys.list_keys()) == 1


async def test_a_key_taken_over_is_not_shown_again(services):
    made = await create(services, key=GUID_KEY)
    assert made.key is None
    assert made.result.id == parse_key(PEPPER, GUID_KEY).key_id
    assert GUID_KEY not in repr(services.keys.keys)


async def test_a_key_of_our_own_form_is_taken_over_under_its_own_id(services):
    text = format_key("0123456789Ab", "s" * 43)
    made = await create(services, key=text)
    assert (made.result.id, made.key) == ("0123456789Ab", None)


async def test_a_key_is_taken_over_once(services):
    await create(services, key=GUID_KEY)
    with pytest.raises(Conflict):
        await create(services, key=GUID_KEY, company_id=OTHER_COMPANY)
    assert [key.company_id for key in services.keys.keys.values()] == [COMPANY]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"company_id": None}, "CompanyId"),
        ({"company_id": None, "roles": [USAGE_WRITER]}, "CompanyId"),
        ({"roles": ["admin"]}, "Roles"),
        ({"roles": ["Superadmin"]}, "Roles"),
        ({"roles": [USAGE_WRITER, ""]}, "Roles"),
        ({"company_id": "00000000-0000-0000-0000-000000000000"}, "CompanyId"),
        ({"name": "x" * 256}, "Name"),
        ({"name": "a\x1b[2J"}, "Name"),
        ({"name": "a\nb"}, "Name"),
        ({"name": "a\u2028b"}, "Name"),
        ({"name": "a\x9bb"}, "Name"),
        ({"expires_at": Instant(NOW_MS)}, "ExpiresAt"),
        ({"expires_at": Instant(NOW_MS - 1)}, "ExpiresAt"),
        ({"expires_at": Instant(253_402_300_800_000)}, "ExpiresAt"),
        ({"networks": ["10.0.0.1/8"]}, "Networks"),
        ({"networks": ["10.0.0.0/8", "anywhere"]}, "Networks"),
        ({"networks": ["::ffff:10.0.0.0/104"]}, "Networks"),
        ({"networks": ["10.0.0.0/8"] * 33}, "Networks"),
        ({"key": "short-password"}, "Key"),
        ({"key": ""}, "Key"),
        ({"key": "x" * 256}, "Key"),
        ({"key": "with a space in the middle"}, "Key"),
        ({"key": "åäö-is-not-visible-ascii"}, "Key"),
    ],
)
async def test_a_fault_names_its_field_and_nothing_is_made(services, members, field):
    with pytest.raises(InvalidRequest) as caught:
        await create(services, **members)
    assert [fault.field for fault in caught.value.fields] == [field]
    assert services.keys.keys == {}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"expires_at": Instant(NOW_MS)}, "'Expires At' must be greater than '2026-09-21T14:13:20Z'."),
        ({"expires_at": Instant(253_402_300_800_000)}, "'Expires At' must be less than or equal to '9999-12-31T23"),
        ({"roles": ["bogus"]}, "'Roles' has a range of values which does not include 'bogus'."),
        ({"name": "x" * 256}, "'Name' must be between 0 and 255 characters. You entered 256 characters."),
        ({"key": "with a space in the middle"}, "'Key' is not in the correct format."),
    ],
)
async def test_a_fault_speaks_as_the_contract_does_and_never_repeats_a_key(services, members, said):
    with pytest.raises(InvalidRequest) as caught:
        await create(services, **members)
    (fault,) = caught.value.fields
    assert fault.message.startswith(said)
    assert "with a space" not in str(fault.meta)


async def test_of_a_role_that_is_none_nobody_knows_whether_the_key_needs_a_company(services):
    with pytest.raises(InvalidRequest) as caught:
        await create(services, company_id=None, roles=["superadmn"])
    assert [fault.field for fault in caught.value.fields] == ["Roles"]


async def test_all_faults_are_named_together(services):
    with pytest.raises(InvalidRequest) as caught:
        await create(services, company_id=GUID_EMPTY, roles=["x", "y"], networks=["z"], key="k", name="n" * 999)
    assert [fault.field for fault in caught.value.fields] == ["CompanyId", "Name", "Roles", "Roles", "Networks", "Key"]


async def test_a_name_may_be_in_any_script(services):
    made = await create(services, name="Ålänningens nyckel 🔑 – キー")
    assert made.result.name == "Ålänningens nyckel 🔑 – キー"


async def test_an_expiry_in_the_future_is_kept(services):
    made = await create(services, expires_at=Instant(NOW_MS + 1))
    assert made.result.expires_at == Instant(NOW_MS + 1)


async def test_a_superadmin_key_needs_no_company(services):
    made = await create(services, company_id=None, roles=[SUPERADMIN])
    assert made.result.company_id is None


async def test_the_company_defaults_to_the_makers(services):
    who = Principal(OTHER_COMPANY, None, frozenset({SUPERADMIN}), "k")
    made = await ask(services, CreateApiKey(), who)
    assert made.result.company_id == OTHER_COMPANY


async def test_nobody_gives_a_role_that_they_have_not(services):
    """Only superadmins come this far today; the rule holds for whoever may come tomorrow."""
    who = Caller(Principal(COMPANY, None, frozenset({USAGE_WRITER}), "k"))
    with pytest.raises(InvalidRequest, match="Only who has the role 'superadmin' may give it"):
        await create_key(services, who, CreateApiKey(roles=[SUPERADMIN]))
    assert (await create_key(services, who, CreateApiKey(roles=[USAGE_WRITER]))).key


@pytest.mark.parametrize(
    "request_made", [CreateApiKey(), ApiKeyQuery(), RevokeApiKey(id="x")], ids=lambda it: type(it).__name__
)
@pytest.mark.parametrize("roles", [set(), {USAGE_WRITER}])
async def test_keys_are_for_superadmins(services, request_made, roles):
    with pytest.raises(Forbidden):
        await ask(services, request_made, Principal(COMPANY, None, frozenset(roles), "k"))


async def test_keys_are_listed_by_company(services):
    one, two = await create(services), await create(services, company_id=OTHER_COMPANY)
    assert [info.id for info in (await ask(services, ApiKeyQuery())).results] == [one.result.id, two.result.id]
    listed = (await ask(services, ApiKeyQuery(company_id=OTHER_COMPANY))).results
    assert listed == [two.result]


async def test_a_revoked_key_stays_listed_with_its_end(services):
    made = await create(services)
    assert (await ask(services, RevokeApiKey(id=made.result.id))).id == made.result.id
    (listed,) = (await ask(services, ApiKeyQuery())).results
    assert listed.revoked_at == Instant(NOW_MS)
    await ask(services, RevokeApiKey(id=made.result.id))  # again: nothing changes


async def test_what_is_not_there_cannot_be_revoked(services):
    with pytest.raises(NotFound):
        await ask(services, RevokeApiKey(id="nobodys"))
    with pytest.raises(InvalidRequest):
        await ask(services, RevokeApiKey())
