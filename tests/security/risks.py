"""Each risk of OWASP's list for APIs (2023): what this service promises, and the tests that show it.

docs/security.md shows this table; tests/security/test_documents.py compares it, and looks whether each test exists.
"""

from typing import NamedTuple


class Risk(NamedTuple):
    """One risk: OWASP's number and name, our promise, and the tests, as ``file::name`` below tests/."""

    number: str
    name: str
    promise: str
    tests: tuple[str, ...]


RISKS = (
    Risk(
        "API1",
        "Broken object level authorization",
        "What belongs to another client is a 404 and stays as it is; lists, feed and cursors are a client's own",
        (
            "test_access.py::test_what_belongs_to_another_client_is_404_and_stays_as_it_is",
            "orders/test_list.py::test_a_client_sees_only_its_own_orders",
            "orders/test_list.py::test_a_cursor_is_of_one_list_one_filter_and_one_client",
            "orders/test_feed.py::test_a_client_reads_only_its_own_events",
        ),
    ),
    Risk(
        "API2",
        "Broken authentication",
        "Keys of 256 bits, kept as hashes, revoked at once; passwords by Argon2id, tried ten times per account and forty times "
        "per address in a quarter of an hour; sessions cannot be forged and end",
        (
            "test_access.py::test_without_a_good_key_every_route_is_401_and_changes_nothing",
            "test_access.py::test_a_revoked_key_is_refused_at_once",
            "security/test_guessing.py::test_an_account_is_tried_from_everywhere_ten_times",
            "security/test_guessing.py::test_who_calls_itself_somebody_else_is_still_one_address",
            "security/test_guessing.py::test_tries_at_the_same_moment_are_counted_one_by_one",
            "security/test_sessions.py::test_a_cookie_signed_with_another_key_opens_nothing",
            "admin/test_login.py::test_the_session_ends_when_idle",
            "accounts/test_authenticating.py::test_an_unknown_name_takes_as_long_as_a_wrong_password",
        ),
    ),
    Risk(
        "API3",
        "Broken object property level authorization",
        "A body that names any column of ours is a 422; no answer holds a secret or an inner column",
        (
            "test_bad_bodies.py::test_every_column_of_every_table_is_an_unknown_field",
            "security/test_owasp.py::test_no_answer_holds_a_secret_or_what_our_processes_tell_each_other",
        ),
    ),
    Risk(
        "API4",
        "Unrestricted resource consumption",
        "Bodies up to 64 KiB, 100 items, pages of 100; RATE_LIMIT per key; a slow client holds up nobody but itself, with the "
        "exception below",
        (
            "orders/test_refusals.py::test_a_body_above_64_kib_is_413",
            "security/test_owasp.py::test_no_page_is_as_large_as_somebody_likes",
            "security/test_owasp.py::test_a_report_of_all_days_is_refused",
            "accounts/test_rates.py::test_two_processes_let_three_of_nine_through",
            "security/test_slow_clients.py::test_others_are_answered_meanwhile",
            "security/test_slow_clients.py::test_who_does_not_come_to_an_end_is_left",
        ),
    ),
    Risk(
        "API5",
        "Broken function level authorization",
        "A route that declares no scope is closed; each scope opens its own routes, each role its own pages and forms",
        (
            "test_access.py::test_each_scope_opens_its_own_routes_and_no_others",
            "test_access.py::test_a_route_that_declares_nothing_is_closed_to_everybody",
            "admin/test_rights.py::test_a_form_beyond_the_role_is_refused",
            "admin/test_rights.py::test_a_form_without_its_token_is_refused",
        ),
    ),
    Risk(
        "API6",
        "Unrestricted access to sensitive business flows",
        "Nobody gets what is not there, however many ask at once; who orders too often meets RATE_LIMIT",
        (
            "products/test_stock.py::test_the_database_refuses_a_stock_below_zero",
            "accounts/test_rates.py::test_a_key_that_asks_too_often_is_429_and_told_when_to_come_back",
        ),
    ),
    Risk(
        "API7",
        "Server side request forgery",
        "Webhooks go to public addresses over TLS only, each vetted before the connection, no redirect followed; what is "
        "inside our network is told to the log only",
        (
            "webhooks/test_hostile_urls.py::test_a_hostile_url_is_connected_to_nowhere",
            "webhooks/test_hostile_urls.py::test_a_resolver_that_changes_its_mind_is_asked_once",
            "webhooks/test_hostile_urls.py::test_a_redirect_leads_nowhere",
        ),
    ),
    Risk(
        "API8",
        "Security misconfiguration",
        "Production refuses every default; no answer may be framed, sniffed or read by another origin; a fault tells nothing "
        "of the inside; requests whose end is in doubt are refused",
        (
            "test_config.py::test_production_refuses",
            "test_headers.py::test_every_answer_of_the_api_is_data_and_nothing_else",
            "test_headers.py::test_any_other_origin_stays_outside",
            "test_errors.py::test_a_bug_is_a_500_that_says_nothing_of_the_inside",
            "security/test_owasp.py::test_a_method_that_nobody_declared_is_refused_everywhere",
            "security/test_owasp.py::test_no_header_turns_a_read_into_a_write",
            "security/test_smuggling.py::test_a_request_hidden_behind_another_is_never_heard",
            "journeys/test_secrets.py::test_no_secret_is_in_any_line_of_any_process",
        ),
    ),
    Risk(
        "API9",
        "Improper inventory management",
        "Every route is in one table and in the description; nothing is served elsewhere",
        (
            "test_access.py::test_every_route_of_the_api_is_in_the_table_and_declares_what_it_says",
            "reference/test_description.py::test_every_protected_route_is_described_with_its_scope",
            "security/test_owasp.py::test_nothing_is_served_where_nobody_looks_for_it",
        ),
    ),
    Risk(
        "API10",
        "Unsafe consumption of APIs",
        "Of a receiver's answer a KiB is read, in time, and shown as text; a message that our relay did not send "
        "changes nothing",
        (
            "webhooks/test_target.py::test_only_the_beginning_of_a_long_answer_is_read",
            "webhooks/test_target.py::test_a_receiver_that_drips_its_headers_is_cut_off",
            "admin/test_rights.py::test_every_page_is_shown_to_whom_it_is_for",
            "journeys/test_hostile_messages.py::test_a_hostile_message_is_set_aside_with_its_reason_and_changes_nothing",
        ),
    ),
)


def table() -> str:
    """Return the table as docs/security.md must hold it."""
    head = ["| risk | what is promised | shown by, below `tests/` |", "| --- | --- | --- |"]
    rows = [
        f"| {risk.number} {risk.name} | {risk.promise} | {', '.join(f'`{name}`' for name in risk.tests)} |" for risk in RISKS
    ]
    return "\n".join([*head, *rows])
