"""Claims of a token whose signature holds."""

import pytest

from kvot.core.errors import TokenRejected
from kvot.core.principal import SUPERADMIN, USAGE_WRITER, Principal, Profile
from kvot.http.auth.claims import LEEWAY_MS, ClaimRules, check_parties, check_times, to_principal
from tests.http.auth.signing import COMPANY, NOW, NOW_MS, claims

LEEWAY = LEEWAY_MS // 1_000
BRACED = "{" + COMPANY + "}"


class TestTimes:
    def test_the_leeway_is_a_minute_at_most(self):
        assert LEEWAY_MS <= 60_000

    @pytest.mark.parametrize(
        ("changes", "verdict"),
        [
            ({}, None),
            ({"exp": None}, "Token has no expiry"),
            ({"exp": NOW - LEEWAY}, "Token has expired"),
            ({"exp": NOW - LEEWAY + 1}, None),
            ({"exp": NOW - LEEWAY + 0.5}, None),
            ({"exp": 0}, "Token has expired"),
            ({"exp": "9999999999"}, "Invalid exp"),
            ({"exp": True}, "Invalid exp"),
            ({"exp": [NOW + 600]}, "Invalid exp"),
            ({"exp": 1e300}, "Invalid exp"),
            ({"exp": -1}, "Invalid exp"),
            ({"exp": float("nan")}, "Invalid exp"),
            ({"nbf": NOW + LEEWAY}, None),
            ({"nbf": NOW + LEEWAY + 1}, "Token not valid yet"),
            ({"nbf": "x"}, "Invalid nbf"),
            ({"iat": NOW + LEEWAY}, None),
            ({"iat": NOW + LEEWAY + 1}, "Token not valid yet"),
            ({"iat": None}, None),
            ({"exp": NOW - 600, "nbf": NOW + 600}, "Token has expired"),
        ],
    )
    def test_when_a_token_counts(self, changes, verdict):
        if verdict is None:
            check_times(claims(**changes), NOW_MS)
        else:
            with pytest.raises(TokenRejected, match=f"^{verdict}$"):
                check_times(claims(**changes), NOW_MS)

    def test_it_says_from_when_on_the_token_no_longer_does(self):
        until_ms = check_times(claims(), NOW_MS)
        check_times(claims(), until_ms - 1)
        with pytest.raises(TokenRejected):
            check_times(claims(), until_ms)


class TestParties:
    RULES = ClaimRules(issuer="https://id", audience="kvot")

    @pytest.mark.parametrize(
        ("changes", "verdict"),
        [
            ({"iss": "https://id", "aud": "kvot"}, None),
            ({"iss": "https://id", "aud": ["other", "kvot"]}, None),
            ({"iss": "https://id/", "aud": "kvot"}, "Invalid Issuer: https://id/"),
            ({"iss": "HTTPS://ID", "aud": "kvot"}, "Invalid Issuer: HTTPS://ID"),
            ({"iss": ["https://id"], "aud": "kvot"}, "Invalid Issuer: https://id"),
            ({"aud": "kvot"}, "Invalid Issuer: "),
            ({"iss": "https://id", "aud": "kvot2"}, "Invalid Audience: kvot2"),
            ({"iss": "https://id", "aud": ["a", "b"]}, "Invalid Audience: a, b"),
            ({"iss": "https://id", "aud": []}, "Invalid Audience: "),
            ({"iss": "https://id", "aud": {"kvot": 1}}, "Invalid Audience: "),
            ({"iss": "https://id"}, "Invalid Audience: "),
        ],
    )
    def test_who_it_is_from_and_for(self, changes, verdict):
        if verdict is None:
            check_parties(claims(**changes), self.RULES)
        else:
            with pytest.raises(TokenRejected) as caught:
                check_parties(claims(**changes), self.RULES)
            assert caught.value.message.startswith(verdict)

    def test_a_long_value_is_not_repeated_in_full(self):
        with pytest.raises(TokenRejected) as caught:
            check_parties(claims(iss="x" * 5_000), self.RULES)
        assert len(caught.value.message) < 200

    def test_where_nothing_is_asked_anything_will_do(self):
        check_parties(claims(iss=1, aud=None), ClaimRules())


class TestPrincipal:
    @pytest.mark.parametrize("text", [COMPANY, COMPANY.upper(), COMPANY.replace("-", ""), BRACED, f"({COMPANY})"])
    def test_a_company_is_read_in_any_form_of_a_guid(self, text):
        assert to_principal(claims(company_id=text), ClaimRules()).company_id == COMPANY

    @pytest.mark.parametrize(
        "value",
        ["", "acme", 7, [COMPANY], COMPANY + " ", BRACED[:-1] + ")", BRACED.replace("-", ""), BRACED[:-1],
         COMPANY[:-1], "00000000-0000-0000-0000-000000000000", COMPANY.replace("-", "", 1), False],
    )  # fmt: skip
    def test_what_names_no_company_is_no_reason_to_guess_one(self, value):
        with pytest.raises(TokenRejected, match="Invalid Company"):
            to_principal(claims(company_id=value), ClaimRules())

    @pytest.mark.parametrize(
        ("path", "given"),
        [
            ("tenant", {"tenant": COMPANY}),
            ("org.company.id", {"org": {"company": {"id": COMPANY}}}),
            ("https://example.com/company", {"https://example.com/company": COMPANY}),
        ],
    )
    def test_the_company_claim_is_where_the_settings_say(self, path, given):
        assert to_principal(claims(company_id=None, **given), ClaimRules(company_claim=path)).company_id == COMPANY
        assert to_principal(claims(**given), ClaimRules(company_claim="elsewhere.x")).company_id is None

    @pytest.mark.parametrize(
        ("given", "roles"),
        [
            ({}, set()),
            ({"roles": [SUPERADMIN]}, {SUPERADMIN}),
            ({"roles": SUPERADMIN}, {SUPERADMIN}),
            ({"roles": "superadmin usage-writer"}, set()),
            ({"roles": ["SuperAdmin", "admin", 1, None, ["superadmin"], {"superadmin": 1}]}, set()),
            ({"roles": {"superadmin": True}}, set()),
            ({"realm_access": {"roles": [USAGE_WRITER, "offline_access"]}}, {USAGE_WRITER}),
            ({"realm_access": [USAGE_WRITER]}, set()),
            ({"realm_access": {"roles": [USAGE_WRITER]}, "roles": [SUPERADMIN]}, {USAGE_WRITER, SUPERADMIN}),
        ],
    )
    def test_only_roles_that_mean_something_here_are_kept(self, given, roles):
        assert to_principal(claims(**given), ClaimRules()).roles == roles

    def test_another_roles_claim_takes_the_place_of_the_default(self):
        rules = ClaimRules(roles_claim="resource_access.kvot.roles")
        given = {"roles": [SUPERADMIN], "resource_access": {"kvot": {"roles": [USAGE_WRITER]}}}
        assert to_principal(claims(**given), rules).roles == {USAGE_WRITER}

    def test_the_user_is_the_subject(self):
        assert to_principal(claims(), ClaimRules()) == Principal(COMPANY, "user-1", frozenset(), "jwt:user-1")
        assert to_principal(claims(sub=None), ClaimRules()) == Principal(COMPANY, None, frozenset(), "jwt:")

    @pytest.mark.parametrize("value", ["", 7, "a\nb", "x" * 252, ["user-1"]])
    def test_a_subject_that_could_not_be_kept_or_logged_is_refused(self, value):
        with pytest.raises(TokenRejected, match="Invalid Subject"):
            to_principal(claims(sub=value), ClaimRules())


class TestProfile:
    def test_what_a_token_says_of_a_person_is_kept_for_that_person(self):
        given = {"name": "Anna B", "preferred_username": "anna", "picture": "https://p/a.png", "perms": ["read"]}
        profile = to_principal(claims(**given, roles=["editor", SUPERADMIN, "editor"]), ClaimRules()).profile
        assert profile == Profile("anna", "Anna B", "https://p/a.png", ("editor", SUPERADMIN), ("read",))

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"given_name": "Anna", "family_name": "B"}, (None, "Anna B")),
            ({"family_name": "B", "email": "a@b.example"}, ("a@b.example", "B")),
            ({"name": "", "preferred_username": 7, "email": ["a"]}, (None, None)),
            ({"name": "x" * 256, "email": "a\nb"}, (None, None)),
        ],
    )
    def test_names_are_made_of_what_there_is_and_what_is_no_name_says_nothing(self, given, said):
        profile = to_principal(claims(**given), ClaimRules()).profile
        assert (profile.user_name, profile.display_name) == said

    def test_roles_and_permissions_without_end_are_cut(self):
        many = [f"r{n}" for n in range(999)]
        principal = to_principal(claims(roles=[*many, SUPERADMIN], perms=many), ClaimRules())
        assert (len(principal.profile.roles), len(principal.profile.permissions)) == (200, 200)
        assert principal.roles == {SUPERADMIN}
