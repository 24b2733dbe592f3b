"""Rules of retention as they are typed."""

import pytest

from starflow_service.config import ConfigError, read_config
from starflow_service.retention_text import read_retention
from starflow_service.runtime.retention_rules import Rule, kept_s
from starflow_service.runtime.types import RunState

DAY_S = 86_400.0


def test_rules_are_read():
    assert read_retention("30d") == (Rule(30 * DAY_S),)
    assert read_retention("failed=12h, shop/*=90s,shop/cancelled=5m,never") == (
        Rule(12 * 3600.0, state=RunState.FAILED),
        Rule(90.0, "shop"),
        Rule(300.0, "shop", RunState.CANCELLED),
        Rule(None),
    )


@pytest.mark.parametrize(
    "text",
    ["", "30", "30d,", "x=3d", "running=3d", "Shop/*=3d", "shop/=3d", "3d,4d", "d"],
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match=r"rules"):
        read_retention(text)


def test_the_narrowest_rule_counts():
    rules = read_retention("30d,failed=90d,shop/*=7d,shop/failed=never")

    assert kept_s(rules, "other", RunState.SUCCEEDED) == 30 * DAY_S
    assert kept_s(rules, "other", RunState.FAILED) == 90 * DAY_S
    assert kept_s(rules, "shop", RunState.CANCELLED) == 7 * DAY_S
    assert kept_s(rules, "shop", RunState.FAILED) is None
    assert kept_s(rules[1:2], "shop", RunState.SUCCEEDED) is None


def test_a_server_takes_them():
    assert read_config([], {}).options.retention == ()
    config = read_config(["--retention", "30d"], {"STARFLOW_TOMBSTONE": "2d"})
    assert config.options.retention == (Rule(30 * DAY_S),)
    assert config.options.tombstone_s == 2 * DAY_S
    with pytest.raises(ConfigError, match=r"--retention must be rules such as 30d"):
        read_config(["--retention", "soon"], {})
