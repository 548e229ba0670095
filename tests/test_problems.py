"""The kinds of problem: one page each, one row in the documentation each."""

import re

import pytest
from flask.testing import FlaskClient

import config
from orderapp.problems import KINDS, Kind


def test_the_documented_table_is_the_code() -> None:
    """docs/operations.md says the same."""
    page = (config.ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- problems -->\n(.*?)\n<!-- /problems -->", page, re.DOTALL)
    rows = [f"| {kind.status} | `{kind.name}` | {kind.meaning} | {kind.remedy} |" for kind in KINDS]
    assert table.splitlines() == ["| status | type | meaning | what to do |", "| --- | --- | --- | --- |", *rows]


@pytest.mark.settings(REQUIRE_API_KEY="true")
def test_every_kind_has_a_page_for_everybody(client: FlaskClient) -> None:
    """Without a key; the list leads to each."""
    listed = client.get("/api/problems/").text
    for kind in KINDS:
        page = client.get(f"/api/problems/{kind.name}/")
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert f"<h1>{kind.name}</h1>" in page.text
        assert f'href="/api/problems/{kind.name}/"' in listed


@pytest.mark.parametrize("name", ["nothing", "<script>", "..", "%00"])
def test_another_page_is_404_without_its_name(client: FlaskClient, name: str) -> None:
    """Nothing that was sent comes back as HTML."""
    answer = client.get(f"/api/problems/{name}/")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert "script" not in answer.text


def test_names_are_unique() -> None:
    """Each is an address."""
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(re.fullmatch("[a-z-]+", kind.name) for kind in KINDS)
    assert isinstance(KINDS[0], Kind)
