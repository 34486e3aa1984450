from __future__ import annotations

import pytest

from carboy.routing import (
    EndpointPrefix,
    Map,
    Rule,
    RuleFactory,
    RuleTemplate,
    Subdomain,
    Submount,
)


def test_factories_nest() -> None:
    url_map = Map(
        [
            Submount(
                "/blog/",
                [Rule("/", endpoint="i"), EndpointPrefix("p.", [Rule("/<x>", endpoint="show")])],
            ),
            Subdomain("api", [Rule("/v1", endpoint="v1")]),
        ]
    )
    assert {(r.rule, r.endpoint, r.subdomain) for r in url_map.iter_rules()} == {
        ("/blog/", "i", ""),
        ("/blog/<x>", "p.show", ""),
        ("/v1", "v1", "api"),
    }


@pytest.mark.parametrize(
    "factory",
    [
        lambda rules: Submount("/m", rules),
        lambda rules: Subdomain("s", rules),
        lambda rules: EndpointPrefix("p.", rules),
        lambda rules: RuleTemplate(rules)(a=1),
    ],
    ids=["Submount", "Subdomain", "EndpointPrefix", "RuleTemplate"],
)
def test_factories_keep_websocket_and_merge_slashes_unlike_werkzeug(factory) -> None:
    rule = Rule("/x", endpoint="e", websocket=True, merge_slashes=False)
    (made,) = Map([factory([rule])]).iter_rules()
    assert made.websocket
    assert made.merge_slashes is False


def test_a_template_keeps_all_arguments_unlike_werkzeug() -> None:
    template = RuleTemplate(
        [Rule("/$a", endpoint="e", redirect_to="/to/$a", alias=True, host="$a.example")]
    )
    (made,) = template(a="b").get_rules(Map())
    assert (made.rule, made.redirect_to, made.alias, made.host) == (
        "/b",
        "/to/b",
        True,
        "b.example",
    )


def test_a_template_fills_texts_and_defaults() -> None:
    defaults = {"y": "$q", "z": 1}
    template = RuleTemplate([Rule("/$p/${q}<int:x>", endpoint="$p.e", defaults=defaults)])
    (made,) = template(p="a", q="b").get_rules(Map())
    assert (made.rule, made.endpoint, made.defaults) == ("/a/b<int:x>", "a.e", {"y": "b", "z": 1})


def test_a_template_without_a_value_for_a_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError):
        list(RuleTemplate([Rule("/$p")])().get_rules(Map()))


def test_a_factory_without_get_rules_says_what_to_define() -> None:
    with pytest.raises(NotImplementedError, match="get_rules"):
        RuleFactory().get_rules(Map())
