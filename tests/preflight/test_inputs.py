"""What may be said outside `apps`: names that nothing reads, values that no role can use, and where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from app_rules.walk import value_problems
from input_rules.described import Known, known
from input_rules.given import given
from input_rules.names import name_problems
from input_rules.places import ELSEWHERE, Place, place
from input_rules.secrets import written_problems
from input_rules.told import told
from input_rules.values import input_problems

ROOT = Path(__file__).resolve().parents[2]
KNOWN = known(ROOT)
RULES = yaml.safe_load((ROOT / "roles/preflight/files/inputs.yml").read_text())


def names(*given: str, renamed: dict[str, str] | None = None) -> dict[str, str]:
    return dict(name_problems(given, KNOWN, renamed or {}))


def values(given: dict[str, Any]) -> dict[str, str]:
    return dict(input_problems(given, KNOWN, lambda value: value))


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_is_about_a_variable_that_there_is(name: str) -> None:
    assert name in KNOWN.wiring or name in {i for i in KNOWN.options if "description" in KNOWN.options[i]}


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_default_keeps_to_its_rule(name: str) -> None:
    option = KNOWN.options[name]
    default = KNOWN.wiring.get(name, option.get("default"))
    if default not in (None, "") and "{{" not in str(default):
        assert list(value_problems(name, default, option)) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nginx_worker_conections", "did you mean nginx_worker_connections?"),
        ("nginx_zzzzzzzz", "the role nginx has no such input"),
        ("ngnix_worker_connections", "did you mean nginx_worker_connections?"),
        ("https_public_prot", "did you mean https_public_port?"),
        ("app_root", "did you mean apps_root?"),
        ("flask_app_rooot", "the role flask_app has no such input"),
    ],
)
def test_a_name_that_nothing_reads_is_told(name: str, said: str) -> None:
    assert said in names(name)[name]


@pytest.mark.parametrize(
    "name",
    [
        "shop_domain",
        "ansible_host",
        "vault_nginx",
        "_nginx_x",
        "__nginx_look",
        "app",
        "release",
        "force",
        "vps_http_port",
    ],
)
def test_other_names_are_free(name: str) -> None:
    assert names(name) == {}


def test_every_input_and_all_of_the_wiring_is_known() -> None:
    assert names(*KNOWN.options, *KNOWN.wiring) == {}


def test_a_renamed_variable_is_told_with_its_new_name() -> None:
    assert names("nginx_old", renamed={"nginx_old": "nginx_new"}) == {"nginx_old": "is now called nginx_new"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nginx_worker_connections", "abc", "must be a whole number"),
        ("nginx_worker_connections", True, "must be a whole number"),
        ("nginx_worker_connections", 0, "must be from 64"),
        ("nginx_worker_connections", None, "is empty; leave it out for the default, 8192"),
        ("nginx_worker_connections", "", "is empty"),
        ("nginx_client_max_body_size", "10mb", "must be a size"),
        ("nginx_client_max_body_size", "1g;", "must be a size"),
        ("nginx_client_max_body_size", "-1", "must be a size"),
        ("https_public_port", 65536, "must be from 1 to 65535"),
        ("https_public_port", "80;", "must be a whole number"),
        ("apps_root", "/", "must be an absolute path"),
        ("apps_root", "/etc", "belongs to the system"),
        ("apps_root", "/proc/x", "belongs to the system"),
        ("apps_root", "srv", "must be an absolute path"),
        ("apps_root", "/srv/../etc", "must be an absolute path"),
        ("apps_root", "/srv;x", "must be an absolute path"),
        ("apps_root", "/a b", "must be an absolute path"),
        ("python_upgrade", "perhaps", "must be true or false"),
        ("python_versions", "3.12", "must be a list"),
        ("release_state", "gone", "must be one of deployed"),
        ("app_server_socket_group", "www data", "must be the name of a user or group"),
        ("host_name", "web_1", "must be a name of lower-case letters"),
        ("host_timezone", "../../etc/shadow", "must be a time zone"),
        ("host_locale", "", "is empty; leave it out for the default, C.UTF-8"),
        ("host_swap", -1, "must be from 0"),
        ("host_upgrades", "all", "must be one of security, stable, none"),
        ("host_upgrades_reboot", "4:00", "must be a time such as"),
        ("host_upgrades_mail", 'a"; x "b', "must be an address"),
        ("host_journal_size", "1GB", "must be a size such as 500M"),
        ("host_banner", "a\nb", "must be one line"),
    ],
)
def test_a_value_that_no_role_can_use_is_told(name: str, value: Any, said: str) -> None:
    assert said in values({name: value})[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx_worker_connections", "1024"),
        ("python_upgrade", "yes"),
        ("python_upgrade", True),
        ("release_keep", 3),
        ("release_rollback_to", ""),
        ("apps_root", "/srv/apps"),
        ("apps_root", "/var/lib/apps"),
        ("nginx_client_max_body_size", "500k"),
        ("host_name", "web1.example.com"),
        ("host_timezone", "keep"),
        ("host_timezone", "America/Argentina/Buenos_Aires"),
        ("host_upgrades_reboot", "04:00"),
        ("host_upgrades_mail", "root"),
        ("host_tmp_options", []),
    ],
)
def test_a_value_that_means_something_passes(name: str, value: Any) -> None:
    assert values({name: value}) == {}


def test_the_file_and_line_of_a_key_are_found_as_deep_as_it_goes(tmp_path: Path) -> None:
    folder = tmp_path / "group_vars" / "production"
    folder.mkdir(parents=True)
    (folder / "main.yml").write_text(
        "first: 1\napps:\n  a.b:\n    domains:\n      - x\n      - y\n    http:\n      paths:\n        /a.b: {a: 1}\n"
    )
    (folder / "main.yml.example").write_text("second: 1\n")
    (tmp_path / "hosts.yml").write_text("production:\n  hosts:\n    one:\n      third: 3\n")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "one.yml").write_text("\nfourth: [1,\n  2]\n")
    variables = {
        "inventory_dir": str(tmp_path), "playbook_dir": str(tmp_path), "inventory_file": str(tmp_path / "hosts.yml"),
        "inventory_hostname": "one", "group_names": ["production"],
        "first": 1, "second": 1, "third": 3, "fourth": [1, 2], "apps": {"a.b": {}},
    }  # fmt: skip
    found = {
        "first": ("main.yml", 1),
        "apps.a.b.domains[1]": ("main.yml", 6),
        "apps.a.b.http.paths./a.b.rate": ("main.yml", 9),
        "apps.a.b.missing": ("main.yml", 3),
        "third": ("hosts.yml", 4),
        "fourth[1]": ("one.yml", 3),
    }
    for key, (file, line) in found.items():
        where = place(key, variables)
        assert (Path(where.file).name, where.line) == (file, line), key
    assert place("second", variables).file == ELSEWHERE
    assert place("first", {**variables, "first": 2}).file == ELSEWHERE


def test_what_the_command_line_gives_is_told_to_stand_there(tmp_path: Path) -> None:
    file = tmp_path / "more.yml"
    file.write_text("---\napps:\n  shop:\n    domains: [x_y]\nfirst: 1\n")
    words = ["first=2", f"@{file}", '{"second": {"third": 3}}', "fourth='a b' fifth=1"]
    for key, number in {"apps.shop.domains[0]": 4, "apps.shop.health": 3, "first": 5}.items():
        found = given(key, words)
        assert found is not None
        assert (Path(found.file).name, found.line) == ("more.yml", number), key
    for key in ("second.third", "fourth", "fifth"):
        assert given(key, words) == place_of(ELSEWHERE, 0), key
    assert given("sixth", words) is None
    # The last one wins.
    assert given("first", [*words, "first=3"]) == place_of(ELSEWHERE, 0)
    assert given("first", ["@nowhere.yml", "lone ' quote"]) is None


def test_a_secret_in_a_plain_file_is_told_and_an_encrypted_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "group_vars" / "all"
    folder.mkdir(parents=True)
    (folder / "main.yml").write_text("a_password: x1\nvault_b: x2\nc_token: !vault x3\nd_password: '{{ vault_d }}'\n")
    (folder / "vault.yml").write_text("$ANSIBLE_VAULT;1.2;AES256;all\n00\n")
    variables = {
        "inventory_dir": str(tmp_path), "playbook_dir": str(tmp_path), "inventory_hostname": "one", "group_names": [],
        "a_password": "x1", "vault_b": "x2", "c_token": "x3", "d_password": "{{ vault_d }}", "vault_e": "x5",
    }  # fmt: skip
    found = dict(written_problems(variables, "vault_"))
    assert sorted(found) == ["a_password", "vault_b"]
    assert not any("x1" in text or "x2" in text for text in found.values())
    assert place("vault_e", variables).file.endswith("vault.yml")


def test_problems_are_told_by_file_and_line() -> None:
    where = {"b": place_of("two.yml", 3), "a": place_of("two.yml", 1), "c": place_of("one.yml", 0)}
    said = told([("b", "is b"), ("a", "is a"), ("c", "is c"), ("x/y.yml", "is open"), ("a", "is a")], where.__getitem__)
    assert said.splitlines() == [
        "Nothing was changed: 4 to put right",
        "  one.yml",
        "    - c: is c",
        "  two.yml",
        "    - line 1: a: is a",
        "    - line 3: b: is b",
        "  x/y.yml",
        "    - is open",
    ]


def place_of(file: str, line: int) -> Place:
    return Place(file, line)


def test_without_a_project_around_it_the_role_knows_no_names(tmp_path: Path) -> None:
    empty = known(tmp_path)
    assert isinstance(empty, Known)
    assert dict(name_problems(["nginx_x"], empty, {})) == {}
