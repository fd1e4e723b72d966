"""One bad file a row: what is wrong, the line it is on, and the mend."""

from pathlib import Path

import pytest

from cio_activation.activation.problems import OldKey
from cio_activation.errors import ConfigError
from cio_activation_tests.activation.toys import load, text

PROPERTY = "lane: daily, owner: a@example.com"


def problems(folder: Path, written: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, written)
    return list(caught.value.problems)


def prop(rule: str) -> str:
    return text(more_properties=f"p: {{{rule}, {PROPERTY}}}")


def audience(extra: str, **keys: str) -> str:
    told = {"label": "RET - B - Do", "owner": "b@example.com", "segment": "2", "lane": "daily"}
    told |= {"deliver": "{hubspot: {}}"} | keys
    body = "\n".join(f"  {key}: {value}" for key, value in told.items())
    return text(more_audiences=f"b:\n{body}\n  {extra}\n")


WORKSPACE = {
    "timezone: Europe/Berln": "timezone: 'Europe/Berln' is not an IANA time zone; did you mean 'Europe/Berlin'",
    "timezone: America": "workspace.timezone: 'America' is not an IANA time zone",
    "timezone: ''": "workspace.timezone: '' is not an IANA time zone",
    "timezone: ../../etc/passwd": "is not an IANA time zone",
    "currency: usd": "workspace.currency: 'usd' is not a currency; write its three capital letters",
    "default_region: USA": "workspace.default_region: 'USA' is not a region",
    "prefix: CIO": "workspace.prefix: 'CIO' is not a prefix",
    "start: someday": "workspace.start: 'someday' is not a date; write it as 2026-01-31",
    "start: 2026-02-31": "workspace.start: '2026-02-31' cannot be read",
    "realtime_window: 25m": "workspace.realtime_window: must divide an hour",
    "realtime_window: 5h": "workspace.realtime_window: must divide an hour",
    "realtime_window: 90s": "workspace.realtime_window: must divide an hour",
    "realtime_window: 0m": "workspace.realtime_window: must divide an hour",
    "realtime_window: soon": "workspace.realtime_window: 'soon' is not a duration",
    "moment_retention: 12h": "workspace.moment_retention: must be a day (1d) or more",
    "moment_body_retention: -30d": "workspace.moment_body_retention: must be a day (1d) or more",
    "history_retention: -1d": "workspace.history_retention: must not be negative",
    "last_good_for: 1h": "workspace.last_good_for: must be a day (1d) or more",
    "raw_retention: 1h": "workspace.raw_retention: must be a day (1d) or more",
    "plan_retention: 0d": "workspace.plan_retention: must be a day (1d) or more",
    "ledger_retention: 1h": "workspace.ledger_retention: must be a day (1d) or more",
    "purchase_attribute: last_ordr_at": "'last_ordr_at' is not a declared attribute; did you mean 'last_order_at'?",
    "purchase_attribute: category": "'category' is of type text, but this takes timestamp",
    "order_count_attribute: category": "'category' is of type text, but this takes integer",
    "total_spent_attribute: category": "'category' is of type text, but this takes money or number",
    "timezon: UTC": "workspace.timezon: is not a known key; did you mean 'timezone'?",
}
TOP = {
    "match: {phone: true}\nprofile: {phone: null}": "match.phone: needs profile.phone, the Customer.io attribute",
    "match: {email_system: hubsot}": "match.email_system: 'hubsot' is none of customerio, hubspot, pipedrive; did you mean",
    "match: {keys: []}": "match.keys: must name each key once",
    "match: {keys: [email, email]}": "match.keys: must name each key once",
    "match: {keys: [emial]}": "match.keys[0]: 'emial' is not allowed here; did you mean 'email'?",
    "match: {keys: email}": "match.keys: 'email' is not a list; write it as [first, second]",
    "profile: {phone: ''}": "profile.phone: is empty",
    "limits: {human_touches_per_person: {max: 1, per: 0d}}": (
        "limits.human_touches_per_person.per: must be longer than zero, such as 7d"
    ),
    "limits: {guards: {max_exit_share: 1.5}}": "limits.guards.max_exit_share: 1.5 is not accepted: input should be less",
    "limits: {guards: {max_entry_share: 0}}": "limits.guards.max_entry_share: 0 is not accepted: input should be greater",
    "limits: {guards: {share_floor: 0}}": "limits.guards.share_floor: 0 is not accepted: input should be greater",
    "limits: {guards: {max_exit: 0.3}}": "limits.guards.max_exit: is not a known key; did you mean 'max_exit_share'?",
    "limits: {guards: {min_snapshot_share: 2}}": "limits.guards.min_snapshot_share: 2 is not accepted: input should be",
    "limits: {guards: {max_operations: true}}": "limits.guards.max_operations: true is not a whole number",
    "limits: {guards: [1]}": "limits.guards: [1] is not a mapping",
    "audience: {}": "audience: is not a known key; did you mean 'audiences'?",
}
ATTRIBUTES = {
    "x: {type: txt}": "attributes.x.type: 'txt' is not allowed here; did you mean 'text'? (allowed: text, number,",
    "x: {from: y}": "attributes.x.type: is missing; add it",
    "x: text": "attributes.x: 'text' is not a mapping; write keys and values below it",
    "x:": "attributes.x: nothing is not a mapping",
    "X y: {type: text}": "attributes.X y: 'X y' is not a durable name",
    "x: {type: text, form: y}": "attributes.x.form: is not a known key; did you mean 'from'?",
    "x: {type: text, from: 12}": "attributes.x.from: 12 is not text; put it in quotes",
    "x: {type: text, from: ''}": "attributes.x.from: '' is empty",
    "x: {type: text, from: Category}": "attributes.x.from: reads the same Customer.io attribute as category (line",
    "email: {type: text}": "attributes.email: is the name of a column we keep ourselves; choose another",
    "as_of: {type: timestamp}": "attributes.as_of: is the name of a column we keep ourselves",
    "hash_x: {type: text}": "attributes.hash_x: is the name of a column we keep ourselves",
    "lapse: {type: text}": "properties.lapse: is also an attribute (line",
    "12: {type: text}": "12 is no key; a key is plain text",
    "[a]: {type: text}": "a list or mapping is no key",
    "x: !secret {type: text}": "attributes.x: the tag !secret is not supported; write a plain value",
}
RULES = {
    "label: x": "properties.p: has no rule; add one of days_since, tiers, expect_next, flag, cases, value",
    "flag: unsubscribed, value: category": "properties.p: has the rules flag, value; keep one",
    "flag: unsubscribed, edges: [1]": "properties.p.edges: does not go with flag; remove it",
    "value: category, otherwise: x": "properties.p.otherwise: does not go with value; remove it",
    "cases: [{label: a, when: unsubscribed}], labels: [a]": "properties.p.labels: does not go with cases; remove it",
    "days_since: last_ordr_at, edges: [1], labels: [a, b]": "'last_ordr_at' is not a declared attribute; did you mean",
    "days_since: orders_count, edges: [1], labels: [a, b]": (
        "properties.p.days_since: 'orders_count' is of type integer, but this takes timestamp or date"
    ),
    "days_since: last_order_at, edges: [30, 30], labels: [a, b, c]": (
        "properties.p.edges: [30, 30] must be numbers that grow from one to the next"
    ),
    "days_since: last_order_at, edges: [1.5], labels: [a, b]": "properties.p.edges: 1.5 is not a whole number of days",
    "days_since: last_order_at, edges: [-1], labels: [a, b]": "properties.p.edges: -1 is not a whole number of days",
    "days_since: last_order_at, edges: [1], labels: [a]": (
        "properties.p.labels: 1 edges make 2 ranges, but there are 1 labels; write one for each"
    ),
    "days_since: last_order_at, labels: [a]": "properties.p.edges: is missing; this rule needs edges",
    "days_since: last_order_at, edges: [1]": "properties.p.labels: is missing; this rule needs edges",
    "tiers: cart_value, edges: [], labels: [a]": "properties.p.edges: is missing",
    "tiers: category, edges: [1], labels: [a, b]": "this takes number or integer or money",
    "tiers: cart_value, edges: [.inf], labels: [a, b]": "must be numbers that grow",
    "tiers: cart_value, edges: ['1'], labels: [a, b]": "properties.p.edges[0]: '1' is not a number",
    "tiers: cart_value, edges: [1], labels: [a, A]": "label 'A' reads like 'a'",
    "tiers: cart_value, edges: [1], labels: [a, a]": "label 'a' reads like 'a'",
    "tiers: cart_value, edges: [1], labels: [a, '']": "label '' is empty",
    "tiers: cart_value, edges: [1], labels: [a, ' b']": "label ' b' starts or ends with a space",
    "tiers: cart_value, edges: [1], labels: [a, 'b;c']": "label 'b;c' holds a ';'",
    'tiers: cart_value, edges: [1], labels: [a, "b\\nc"]': "holds a line break",
    f"tiers: cart_value, edges: [1], labels: [a, {'b' * 256}]": "has 256 characters, more than 255",
    "tiers: cart_value, edges: [1], labels: [1, 2]": "properties.p.labels[0]: 1 is not text; put it in quotes",
    "expect_next: {from: category, every: gap}": "properties.p.expect_next.from: 'category' is of type text",
    "expect_next: {from: last_order_at, every: cart_value}": "properties.p.expect_next.every: 'cart_value' is of type",
    "expect_next: {from: last_order_at, every: gap, fallback_by: gap}": "fallback_by: 'gap' is of type number",
    "expect_next: {from: last_order_at, every: gap, open: 3d}": "open must not be positive",
    "expect_next: {from: last_order_at, every: gap, close: -1d}": "close must not be negative",
    "expect_next: {from: last_order_at, every: gap, close: 7}": "properties.p.expect_next.close: 7 is not a duration",
    "expect_next: {from: last_order_at, ever: gap}": "expect_next.ever: is not a known key; did you mean 'every'?",
    "expect_next: {from: last_order_at, every: gap}, labels: [a, b]": "properties.p.labels: must be four",
    "flag: \"happened('x', within 1d)\"": "p.flag: happened: only the expressions of audiences read moments; ask for it",
    "flag: unsubscibed": "properties.p.flag: 'unsubscibed' is not declared; did you mean 'unsubscribed'?",
    "flag: cart_tier = 'low'": "properties.p.flag: 'cart_tier' is a property; a property's rule reads attributes only",
    "cases: []": "properties.p.cases: is empty",
    "cases: [{label: a, when: gap}]": "properties.p.cases[0].when: the expression gives a number, not true or false",
    "cases: [{label: a, when: unsubscribed}, {label: 'b;', when: unsubscribed}]": "p.cases: label 'b;' holds",
    "cases: [{lable: a, when: unsubscribed}]": "properties.p.cases[0].lable: is not a known key; did you mean 'label'?",
    "value: unsubscribed": "properties.p.value: 'unsubscribed' is of type boolean; write flag: unsubscribed",
    "value: category, min_dwell: 30m": "properties.p.min_dwell: goes with buckets and flags only",
    "flag: unsubscribed, min_dwell: -1h": "properties.p.min_dwell: must be a span from 0m to 365d",
    "flag: unsubscribed, min_dwell: 366d": "properties.p.min_dwell: must be a span from 0m to 365d",
    "value: category, on_conflict: kep": "properties.p.on_conflict: 'kep' is not allowed here",
    "value: category, deliver: [hubspt]": "p.deliver[0]: 'hubspt' is not under destinations; did you mean 'hubspot'?",
    "value: category, deliver: [hubspot, hubspot]": "properties.p.deliver[1]: 'hubspot' is named twice",
    "value: category, label: lapse": "properties.p.label: reads like the label of lapse (line",
}
AUDIENCES = {
    "grace: 2 hour": (
        "audiences.b.grace: '2 hour' is not a duration; write a whole number and a unit, such as 30m, 2h or 7d"
    ),
    "grace: -1h": "audiences.b.grace: must not be negative",
    "expires_after: 0h": "audiences.b.expires_after: must be longer than zero",
    "version: 0": "audiences.b.version: 0 is not accepted: input should be greater than or equal to 1",
    "exit_on: [left_segment, left_segment]": "audiences.b.exit_on: names an exit twice",
    "exit_on: [left_segment, action_done]": ("audiences.b.exit_on[1]: 'action_done' is not allowed here"),
    "exit_on: [purchas]": "audiences.b.exit_on[0]: 'purchas' is not allowed here; did you mean 'purchase'?",
    "cooldown: 7d": "audiences.b.cooldown: is for audiences with a human act; add an action, or say touch: true",
    "holdout: 10%": "audiences.b.holdout: is for audiences with a human act",
    "launch: {max_entries_per_day: 50}": "audiences.b.launch: is for audiences with a human act",
    "holdout: 95%": "audiences.b.holdout: '95%' is not accepted",
    "cooldown: -1d": "audiences.b.cooldown: must not be negative",
    "hold_while: nobody > 1": "audiences.b.hold_while: 'nobody' is not",
    "rank: nobody DESC": "audiences.b.rank: 'nobody' is not a declared attribute or property",
    "launch: {only: category}": "audiences.b.launch.only: the expression gives a text",
    "exclusive: {group: A}": "audiences.b.exclusive.group: 'A' is not a durable name",
    "graze: 1h": "audiences.b.graze: is not a known key; did you mean 'grace' or 'gate'?",
    "gate: cart_valu > 1": "audiences.b.gate: 'cart_valu' is not declared; did you mean 'cart_value'?",
    "gate: lapse = '0-31'": "audiences.b.gate: '0-31' is no label of lapse; did you mean '0-30'",
    "gate: cart_tier = 'low'": "audiences.b.gate: 'cart_tier' is a realtime property; a daily audience reads daily",
    "gate: ''": "audiences.b.gate: '' is empty",
}
AUDIENCE_KEYS = {
    ("segment", "null"): "audiences.b: says not where its people come from; add segment: <id>, or moment: {name: ...}",
    ("moment", "{name: asked}"): "audiences.b.moment: stands beside a segment; an audience has one source, remove one",
    ("gate", "happened('x', within 7 moons)"): "audiences.b.gate: happened: '7moons' is not a duration; write a whole",
    (
        "gate",
        "happened('x')",
    ): "audiences.b.gate: happened takes a moment's name and a span: happened('winback_clicked',",
    ("gate", "times('x', within 2d)"): "audiences.b.gate: the expression gives a number, not true or false",
    ("gate", "happened('', within 2d)"): "audiences.b.gate: happened: '' is empty; write what the webhook's event is",
    ("gate", "happened('x', within 0d)"): "audiences.b.gate: happened: within 0d is no span; write something longer",
    ("gate", f"happened('{'x' * 101}', within 1d)"): "is no moment's name; it has at most 100 characters",
    ("gate", "happend('x', within 1d)"): "the function happend is not allowed; did you mean 'happened'?",
    ("gate", "happened('x', within 401d)"): (
        "audiences.b.gate: x within 401d: moments are kept for 400d; shorten the span, or raise workspace.moment_retention"
    ),
    ("segment", "true"): "audiences.b.segment: true is not a whole number",
    ("segment", "'2'"): "audiences.b.segment: '2' is not a whole number",
    ("label", "ret - vip cart - CALL"): "audiences.b.label: reads like the label of vip_cart (line",
    ("label", "a;b"): "audiences.b.label: label 'a;b' holds a ';'",
    ("owner", "nobody"): "audiences.b.owner: 'nobody' is no owner; write an e-mail address or team:name",
    ("lane", "hourly"): "audiences.b.lane: 'hourly' is not allowed here (allowed: daily, realtime)",
    ("deliver", "{}"): "audiences.b.deliver: is empty; name at least one of hubspot, pipedrive",
    ("deliver", "[hubspot]"): "audiences.b.deliver: ['hubspot'] is not a mapping",
    ("deliver", "{salesforce: {}}"): "audiences.b.deliver.salesforce: 'salesforce' is not under destinations",
    ("deliver", "{hubspot: {lst: true}}"): "b.deliver.hubspot.lst: is not a known key; did you mean 'list'?",
    (
        "deliver",
        "{hubspot: {activity: {}}}",
    ): "audiences.b.deliver.hubspot.activity: 'activity' is not built yet; remove",
    (
        "deliver",
        "{hubspot: {task: {subject: x, due: 4h}}}",
    ): "deliver.hubspot.task.due: 'due' is not built yet; remove it",
    ("deliver", "{hubspot: {task: {}}}"): "audiences.b.deliver.hubspot.task.subject: is missing; add it",
    ("deliver", "{hubspot: {list: 1}}"): "audiences.b.deliver.hubspot.list: 1 is not true or false",
}
MOMENT = {"segment": "null", "moment": "{name: x, where: amount > 1}", "lane": "realtime", "expires_after": "48h"}
MOMENTS = {
    ("moment", "{}"): "audiences.b.moment.name: is missing; add it",
    ("moment", "{name: ' '}"): "audiences.b.moment.name: ' ' is empty; write what the webhook's event is called",
    ("moment", "{name: x, were: y}"): "audiences.b.moment.were: is not a known key; did you mean 'where'?",
    ("moment", "{name: x, where: 1 = 1}"): "audiences.b.moment.where: the expression reads no field of the body",
    (
        "moment",
        "{name: x, where: a > 1 AND a = 'b'}",
    ): "where: a is read as a number and as a text; a field of a body is",
    (
        "moment",
        "{name: x, where: Size = 1 AND size = 2}",
    ): "where: size and Size differ by capitals only; write the field",
    ("moment", "{name: x, where: a >}"): "audiences.b.moment.where: cannot be read as one expression near '>'",
    ("moment", "{name: x, where: days_since(a) > 3}"): "days_since takes one attribute of type timestamp or date",
    (
        "moment",
        "{name: x, where: \"happened('y', within 1d)\"}",
    ): "happened: only the expressions of audiences read moments",
    (
        "lane",
        "daily",
    ): "audiences.b.lane: an audience that starts from a moment is of the realtime lane; write realtime",
    ("expires_after", "null"): "audiences.b: expires_after is missing; say how long a moment counts, such as",
    (
        "expires_after",
        "10m",
    ): "audiences.b.expires_after: is shorter than workspace.realtime_window (15m); moments would",
    ("expires_after", "31d"): (
        "audiences.b.expires_after: is longer than bodies, which where reads, are kept (30d); shorten it, or raise "
        "workspace.moment_body_retention"
    ),
    ("grace", "48h"): "audiences.b.grace: is as long as a moment counts (expires_after); nobody would ever enter",
    ("again_after", "1d"): "audiences.b.again_after: a moment acts once at most; remove it",
    ("exit_on", "[left_segment]"): "audiences.b.exit_on: left_segment is for audiences with a segment; remove it",
}
DESTINATIONS = {
    "{hubspot: {}, pipedrve: {}}": "destinations.pipedrve: is not a known destination; did you mean 'pipedrive'?",
    "{hubspot: {daily_tokens: 1}}": "destinations.hubspot.daily_tokens: 'daily_tokens' is not built yet; remove it",
    "{hubspot: {on_conflict: keep}}": "destinations.hubspot.on_conflict: is not a known key",
    "{hubspot: {rate_share: 1.5}}": "destinations.hubspot.rate_share: 1.5 is not accepted: input should be less than",
    "[hubspot]": "destinations: ['hubspot'] is not a mapping",
}
OWN_COLUMNS = [
    "cio_id",
    "row_hash",
    "source_hash",
    "hash_hubspot",
    "next_transition_at",
    "as_of",
    "rowid",
    "record_id",
    "keys",
    "urgency",
]
ROWS = [
    *((text(workspace=f"{{{line}}}"), told) for line, told in WORKSPACE.items()),
    *((text(line), told) for line, told in TOP.items()),
    *((text(more_attributes=line), told) for line, told in ATTRIBUTES.items()),
    *((prop(rule), told) for rule, told in RULES.items()),
    *((audience(extra), told) for extra, told in AUDIENCES.items()),
    *((audience("", **{key: value}), told) for (key, value), told in AUDIENCE_KEYS.items()),
    *((audience("", **(MOMENT | {key: value})), told) for (key, value), told in MOMENTS.items()),
    *((text(destinations=line), told) for line, told in DESTINATIONS.items()),
    (text(more_properties="p: {value: category, lane: daily, owner: Bob}"), "properties.p.owner: 'Bob' is no owner"),
    (text(more_properties="id: {value: category, lane: daily, owner: team:x}"), "would be the CRM field cio_id"),
    *(
        (
            text(more_properties=f"{name}: {{value: gap, lane: daily, owner: team:x}}"),
            f"properties.{name}: is the name of a column we keep ourselves; choose another",
        )
        for name in OWN_COLUMNS
    ),
    *(
        (
            text(more_attributes=f"{name}: {{type: text, from: elsewhere}}"),
            f"attributes.{name}: is the name of a column we keep ourselves; choose another",
        )
        for name in ("content_hash", "source_hash", "rowid")
    ),
    (text(more_properties="p: {value: category, lane: daily}"), "properties.p.owner: is missing; add it"),
    (
        text(workspace="{}", more_audiences="").replace("realtime\n", "realtime\n    exit_on: [purchase]\n"),
        "purchase needs",
    ),
    ("workspace: {}\n", "attributes: is missing; add it"),
]


@pytest.mark.parametrize(("written", "told"), ROWS, ids=[told[:70] for _written, told in ROWS])
def test_a_mistake_names_the_line_the_key_and_the_mend(tmp_path: Path, written: str, told: str) -> None:
    found = problems(tmp_path, written)
    matching = [problem for problem in found if told in problem]
    assert matching, f"not told: {told}\n" + "\n".join(found)
    assert len(found) == len(set(found)) <= 3
    assert matching[0].startswith("activation.yaml:")


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    written = audience("grace: 2 hour")
    line = written.splitlines().index("    grace: 2 hour") + 1
    assert problems(tmp_path, written) == [
        f"activation.yaml:{line}: audiences.b.grace: '2 hour' is not a duration; "
        "write a whole number and a unit, such as 30m, 2h or 7d"
    ]


def test_the_line_of_a_list_item_is_its_own(tmp_path: Path) -> None:
    written = audience("exit_on:\n    - left_segment\n    - purchas")
    (line,) = (n for n, content in enumerate(written.splitlines(), 1) if content.endswith("- purchas"))
    assert problems(tmp_path, written)[0].startswith(f"activation.yaml:{line}: audiences.b.exit_on[1]: ")


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    written = audience("grace: 2 hour", owner="nobody").replace("edges: [75]", "edges: [75, 75]")
    written = written.replace("America/New_York", "America/New_Yrk").replace("type: text", "type: txt")
    written = written.replace("lapse = '0-30'", "lapse = '0-3'")
    found = problems(tmp_path, written)
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)
    for told in ("timezone", "category.type", "cart_tier.edges", "cart_tier.labels", "vip_cart.gate", "b.grace"):
        assert any(told in problem for problem in found), f"{told} is missing from\n" + "\n".join(found)


def test_what_refers_to_a_broken_declaration_is_not_told_again(tmp_path: Path) -> None:
    written = text().replace("cart_value: {type: money}", "cart_value: {type: cash}")
    assert len(problems(tmp_path, written)) == 1
    written = text().replace("edges: [30, 90]", "edges: [90, 30]")
    assert len(problems(tmp_path, written)) == 1
    written = text(workspace="{purchase_attribute: Last Order}")
    written = written.replace("    lane: realtime\n", "    lane: realtime\n    exit_on: [purchase]\n")
    assert len(problems(tmp_path, written)) == 1


def test_an_old_key_beside_its_present_name_is_a_problem(tmp_path: Path) -> None:
    written = text(workspace="\n  moments_kept: 90d\n  moment_retention: 90d\n")
    (line,) = (n for n, content in enumerate(written.splitlines(), 1) if "moments_kept" in content)
    told = "workspace.moments_kept: is called moment_retention now, which is there too; remove moments_kept"
    assert problems(tmp_path, written) == [f"activation.yaml:{line}: {told}"]


def test_what_is_wrong_with_an_old_key_is_told_on_its_line(tmp_path: Path) -> None:
    written = text(workspace="\n  currency: USD\n  moments_kept: 12h\n")
    (line,) = (n for n, content in enumerate(written.splitlines(), 1) if "moments_kept" in content)
    with pytest.warns(OldKey):
        (problem,) = problems(tmp_path, written)
    assert problem.startswith(f"activation.yaml:{line}: workspace.moment_retention: must be a day")


def test_a_key_that_stands_twice_names_both_lines(tmp_path: Path) -> None:
    written = text(more_audiences="vip_cart:\n  label: x\n  label: y\n") + "\nattributes: {}\n"
    keys = written.splitlines()
    first, second = (n + 1 for n, key in enumerate(keys) if key == "  vip_cart:")
    top, again = (n + 1 for n, key in enumerate(keys) if key.startswith("attributes:"))
    assert problems(tmp_path, written) == [
        f"activation.yaml:{line}: {key}: stands twice, on lines {before} and {line}; rename or remove one"
        for key, before, line in (("audiences.vip_cart", first, second), ("attributes", top, again))
    ]
