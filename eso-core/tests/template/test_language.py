"""The language of templates, and its functions, as Go and Sprig have them."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.template import Template, TemplateError

DATA = {
    "user": "app",
    "password": "p@ss word",
    "empty": "",
    "json": '{"a": {"b": [1, 2.50, "x"]}, "t": true}',
    "n": "5",
}

LANGUAGE = [
    ("plain", "plain"),
    ("{{ .user }}:{{ .password }}", "app:p@ss word"),
    ("{{.user}}", "app"),
    ("a {{- .user -}} b", "aappb"),
    ("a {{ .user -}}\n  b", "a appb"),
    ("a{{/* nothing */}}b", "ab"),
    ("a {{- /* nothing */ -}} b", "ab"),
    ('{{ "{{" }}', "{{"),
    ("{{ `raw\\n` }}", "raw\\n"),
    (r'{{ "tab\tquote\" \x41 \u00e4 \101" }}', 'tab\tquote" A ä A'),
    ('{{ index . "user" }}', "app"),
    ('{{ $x := .user }}{{ $x }}{{ $x = "b" }}{{ $x }}', "appb"),
    ("{{ $.user }}", "app"),
    ("{{ if .empty }}yes{{ else }}no{{ end }}", "no"),
    ("{{ if .empty }}1{{ else if .user }}2{{ else }}3{{ end }}", "2"),
    ("{{ if and .user .empty }}1{{ else }}2{{ end }}", "2"),
    ("{{ if or .empty .user }}1{{ end }}", "1"),
    ("{{ if not .empty }}1{{ end }}", "1"),
    ("{{ with .user }}<{{ . }}>{{ else }}none{{ end }}", "<app>"),
    ("{{ with .empty }}x{{ else }}none{{ end }}", "none"),
    ('{{ range list "a" "b" }}[{{ . }}]{{ end }}', "[a][b]"),
    ('{{ range $i, $v := list "a" "b" }}{{ $i }}={{ $v }};{{ end }}', "0=a;1=b;"),
    ('{{ range $k, $v := dict "b" 1 "a" 2 }}{{ $k }}={{ $v }};{{ end }}', "a=2;b=1;"),
    ("{{ range list }}x{{ else }}none{{ end }}", "none"),
    ('{{ range list "a" }}{{ $.user }}{{ end }}', "app"),
    ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}", "2"),
    ("{{ (fromJson .json).a.b }}", "[1 2.5 x]"),
    ("{{ (index (fromJson .json).a.b 2) | upper }}", "X"),
    ("{{ 1 }} {{ 1.50 }} {{ true }} {{ 0x1F }} {{ -3 }}", "1 1.5 true 31 -3"),
    ("{{ 017 }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1e3 }} {{ .5 }}", "15 5 15 1000 1000 0.5"),
    (r'{{ "\xc3\xa4\303\244" }}', "ää"),
    ('{{ .user | printf "%s-%s" "x" }}', "x-app"),
]


@pytest.mark.parametrize(("template", "expected"), LANGUAGE, ids=[t for t, _ in LANGUAGE])
def test_the_language(template: str, expected: str) -> None:
    """As text/template evaluates it."""
    assert Template(template).render(DATA) == expected


FUNCTIONS = [
    ('upper "aB"', "AB"), ('lower "aB"', "ab"), ('title "one two"', "One Two"), ('trim "  a "', "a"),
    ('trimAll "$" "$5$"', "5"), ('trimPrefix "-" "--a"', "-a"), ('trimSuffix "a" "ba"', "b"),
    ('replace " " "-" "a b c"', "a-b-c"), ('contains "b" "abc"', "true"), ('hasPrefix "a" "abc"', "true"),
    ('hasSuffix "a" "abc"', "false"), ('repeat 3 "ab"', "ababab"), ('trunc 2 "abc"', "ab"), ('trunc -2 "abc"', "bc"),
    ('substr 1 3 "abcd"', "bc"), ('nospace " a b "', "ab"), ('indent 2 "a\\nb"', "  a\n  b"), ('nindent 2 "a"', "\n  a"),
    ('quote "a\\"b" 1', '"a\\"b" "1"'), ('squote "a"', "'a'"), ('cat "a" 1 nil "b"', "a 1 b"),
    ('join "," (list 1 "b")', "1,b"), ('splitList "," "a,b"', "[a b]"),
    ('b64enc "hi"', "aGk="), ('b64dec "aGk="', "hi"), ('b32enc "hi"', "NBUQ===="), ('b32dec "NBUQ===="', "hi"),
    ('sha1sum "a"', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ('sha256sum "a"', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ('sha512sum "a" | trunc 8', "1f40fc92"),
    ('default "d" ""', "d"), ('default "d" "v"', "v"), ('"" | default "d"', "d"), ('empty ""', "true"), ("empty 0", "true"),
    ('coalesce "" nil "x"', "x"), ('ternary "y" "n" true', "y"), ('"" | empty | ternary "y" "n"', "y"),
    ('int "12"', "12"), ('int "x"', "0"), ('atoi "-7"', "-7"), ("add 1 2 3", "6"), ("sub 5 7", "-2"), ("mul 2 3 4", "24"),
    ("div 7 2", "3"), ("div -7 2", "-3"), ('len "abc"', "3"), ("len (list 1 2)", "2"), ('len "ä"', "2"),
    ("first (list 1 2)", "1"), ("last (list 1 2)", "2"), ('get (dict "a" 1) "a"', "1"), ('get (dict "a" 1) "b"', ""),
    ('hasKey (dict "a" 1) "a"', "true"), ('keys (dict "b" 1 "a" 1)', "[a b]"),
    ('toJson (dict "b" "<" "a" (list 1 2.5 nil true))', '{"a":[1,2.5,null,true],"b":"\\u003c"}'),
    ('(fromJson "{\\"a\\": 12345678901234567890}").a', "12345678901234567890"),
    ('eq "a" "b" "a"', "true"), ("ne 1 2", "true"), ("lt 1 2", "true"), ("le 2 2", "true"), ("gt 1 2", "false"), ('ge "b" "a"', "true"),
    ('regexMatch "^a+$" "aaa"', "true"), ('regexReplaceAll "(a)(b)" "abab" "${2}$1"', "baba"),
    ('urlquery "a b&c/d" "~"', "a+b%26c%2Fd~"),
    ('print "a" 1 2 "b"', "a1 2b"), ('println "a" 1', "a 1\n"),
    ('printf "%5d|%-5s|%05d|%x|%q|%v|%t|%.2f|%%" 42 "ab" 7 "hi" "q" (list 1) true 1.5', '   42|ab   |00007|6869|"q"|[1]|true|1.50|%'),
    ('trunc 2 "äöü"', "ä"), ('substr 0 2 "äöü"', "ä"), ('substr 1 -1 "abc"', "bc"), ('index "ä" 0', "195"),
    ('upper "straße"', "STRAßE"), ('lower "\\u0130"', "i"), ('title "ǆ ß"', "ǅ ß"),
    ('int "0x10"', "16"), ('int "010"', "8"), ('int "1_000"', "1000"), ('int "1.5"', "0"), ('int "9223372036854775808"', "0"),
    ("add 9223372036854775807 1", "-9223372036854775808"), ("mul 4611686018427387904 4", "0"),
    ('printf "%+.2f|%+d|%05d|%03s|%-4d|" 1.0 5 -42 "a" 7', "+1.00|+5|-0042|00a|7   |"),
    ('regexReplaceAll "(a)" "aba" "$1ä"', "b"), ('regexReplaceAll "(a)" "aba" "$01"', "b"),
    ("toString nil", "<nil>"), ('printf "%v" nil', "<nil>"), ('nospace "ä\\u00a0ö"', "äö"),
    ('(fromJson "{\\"a\\": 1234567.5}").a', "1.2345675e+06"), ("1000000.0", "1e+06"), ("123456.5", "123456.5"),
    ('toString (list "a" nil)', "[a <nil>]"), ("1e21", "1e+21"), ("100000.0", "100000"), ("0.00001", "1e-05"), ('dict "a" nil', "map[a:<nil>]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), FUNCTIONS, ids=[c for c, _ in FUNCTIONS])
def test_a_function(call: str, expected: str) -> None:
    """Arguments in Sprig's order, results as Go prints them."""
    assert Template("{{ " + call + " }}").render({}) == expected


BROKEN = [
    ("{{ .user", "line 1 column 9: the action is not closed"),
    ("a\n {{ if .user }}", "line 2 column 2: {{ if }} has no {{ end }}"),
    ("{{ end }}", "line 1 column 1: unexpected {{ end }}"),
    ("{{ else }}", "unexpected {{ else }}"),
    ("{{ }}", "a value or a function is missing"),
    ("{{ .user .password }}", "only a function takes arguments"),
    ("{{ .user | .password }}", "only a function can stand behind `|`"),
    ("{{ (upper .user }}", "`(` has no `)`"),
    ('{{ template "x" }}', "'template' is not supported"),
    ('{{ define "x" }}{{ end }}', "'define' is not supported"),
    ("{{ break }}", "'break' is not supported"),
    ("{{ 'c' }}", "unexpected character"),
    ('{{ "\\q" }}', "unknown escape"),
    ("{{/* open }}", "the comment is not closed"),
    ("{{ 08 }}", "not a number of 64 bits"),
    ("{{ 1e999 }}", "not a number of 64 bits"),
    (r'{{ "\ud800" }}', "an escape in a text is no character"),
    (r'{{ "\UFFFFFFFF" }}', "an escape in a text is no character"),
    ("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "parentheses stand more than 100 deep"),
    ("{{ if true }}" * 200 + "{{ end }}" * 200, "blocks stand more than 100 deep"),
]


@pytest.mark.parametrize(("template", "said"), BROKEN, ids=[t[:40] for t, _ in BROKEN])
def test_what_cannot_be_parsed_says_where(template: str, said: str) -> None:
    """Line and column of the template."""
    with pytest.raises(TemplateError) as raised:
        Template(template)
    assert said in str(raised.value)


FAILING = [
    ("{{ .nope }}", "there is no key 'nope'"),
    ('{{ index . "nope" }}', "there is no key 'nope'"),
    ("{{ .secret.x }}", ".x is asked of something that is no map"),
    ("{{ $x }}", "variable $x is not declared"),
    ("{{ $x = 1 }}", "variable $x is not declared"),
    ('{{ env "HOME" }}', "function 'env' is not supported"),
    ("{{ now }}", "function 'now' is not supported"),
    ("{{ .secret | b64dec }}", "b64dec: not base64"),
    ("{{ .secret | fromJson }}", "fromJson: not JSON"),
    ("{{ .secret | atoi }}", "atoi: not a whole number"),
    ('{{ .secret | trunc "x" }}', "trunc: wrong number or type of arguments"),
    ("{{ upper }}", "upper: wrong number or type of arguments"),
    ("{{ upper 1 }}", "upper: an argument that is no text: use toString"),
    ("{{ eq .secret 1 }}", "values of different types can't be compared"),
    ("{{ div 1 0 }}", "division by zero"),
    ("{{ .secret | fail }}", "fail: the template says so"),
    ("{{ range .secret }}{{ end }}", "range needs a list or a map"),
    ('{{ printf "%d" .secret }}', "verb %d does not go with its argument"),
    ('{{ printf "%s" }}', "fewer arguments than verbs"),
    ('{{ printf "" .secret }}', "more arguments than verbs"),
    ("{{ repeat 99999999 .secret }}", "more than 1048576 characters"),
    ('{{ regexMatch "(?=x)" .secret }}', "is not an RE2 pattern"),
    (r'{{ regexMatch "\\C" .secret }}', "is not an RE2 pattern"),
    ('{{ printf "100%" }}', "a percent sign is written %%"),
    ('{{ printf "%#x" 255 }}', "%x can't be written with these flags"),
    ('{{ printf "%.3g" 1.5 }}', "%g can't be written with these flags"),
    ("{{ substr 3 1 .secret }}", "the positions are out of range"),
    ("{{ repeat -1 .secret }}", "the count is negative"),
    ("{{ first .secret }}", "not a list"),
    ('{{ ternary "a" "b" .secret }}', "the condition is not true or false"),
    ("{{ eq (list .secret) (list .secret) }}", "lists and maps can't be compared"),
    ("{{ lt true false }}", "true and false have no order"),
    ("{{ and }}", "and: a value is missing"),
    ("{{ fromJson `NaN` }}", "fromJson: not JSON"),
    ("{{ index (list 1) 5 }}", "the index is out of range"),
]


@pytest.mark.parametrize(("template", "said"), FAILING, ids=[t for t, _ in FAILING])
def test_what_fails_is_told_without_values(template: str, said: str) -> None:
    """Names of keys and functions, never what they were given; also not in what the exception came from."""
    with pytest.raises(TemplateError) as raised:
        Template(template).render({"secret": "canary-value"})
    assert said in str(raised.value)
    error: Any = raised.value
    while error is not None:
        assert "canary" not in repr(error.args)
        assert error.__suppress_context__ or error.__context__ is None
        error = error.__cause__


def test_a_missing_key_may_be_tolerated() -> None:
    """As in rewrite, where upstream tolerates it."""
    assert Template("{{ .nope }}").render({}, missing_is_error=False) == "<no value>"


def test_an_endless_result_is_cut_off() -> None:
    """A template must not fill the memory."""
    template = '{{ range splitList "" (repeat 1000 "x") }}{{ repeat 1000000 "x" }}{{ end }}'
    with pytest.raises(TemplateError, match="longer than"):
        Template(template).render({})
