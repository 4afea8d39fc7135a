"""The pages tell what the code does: every code, command, decision and word, and nothing that is gone."""

import ast
import dataclasses
import re
import tomllib
from functools import cache
from pathlib import Path

import typer
from typer.main import get_command

from pregao.domain.facts import FACTS
from pregao.edges.cli import app
from pregao.edges.http.console.languages import ENGLISH, LANGUAGES
from pregao.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pregao"
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

CODE = r"[A-Z]+(?:_[A-Z]+)+"
VENUE_WORDS = ("edges/exchanges/", "edges/paper/", "simulation/")
"""Where words in capitals are mostly Binance's: there a code is what an error is made of, nothing else."""
ERRORS = re.compile(
    r"Error$|^(Answer|Denial|NotSent|OperatorNeeded|OutcomeUnknown|Refused|RetryLater|StoreAway|Told"
    r"|Unreadable|error_body|_refusal)$"
)
NO_CODES = {
    "LC_ALL",  # the embedded server's environment
    "PG_VERSION",  # a file of its cluster
    "NO_MOVE",  # what a model may say
    "PRICE_DOWN",
    "PRICE_UP",
}
OWN_CODES = {"PRICE_MOVE", "TRADING_STATE"}
"""Checks whose verdicts end a signal under codes of their own, not under their name and _DECLINED."""
ENDINGS = ("_UNCERTAIN",)
"""What follows a word that is only known when it happens: BOT_UNCERTAIN, ACCOUNT_UNCERTAIN."""


STORED = (
    "Signals: refused", "Decisions: declined", "Orders: ", "Stops, targets and sizes", "Pre-flight: ", "Selling out: ",
    "Destinations", "The screener: ", "Alerts: ",
)  # fmt: skip
"""The parts of errors.md whose codes are stored with signals, orders, stops, accounts, lists and alerts, and shown there."""
MEANINGS = sorted((SOURCE / "edges" / "http" / "console" / "languages").glob("*/codes.toml"))


def source_files():
    return [*SOURCE.rglob("*.py"), ROOT / "run.py", ROOT / "hatch_build.py"]


@cache
def codes_in_source():
    """Give every stable code and where it stands."""
    found = {}
    settings = {field.metadata["name"] for field in dataclasses.fields(Settings)}
    for path in source_files():
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        speaks_venue = any(f"src/pregao/{folder}" in name for folder in VENUE_WORDS)
        for code in _codes_of(ast.parse(text), speaks_venue=speaks_venue) - settings - NO_CODES:
            if not code.startswith("PREGAO_"):
                found.setdefault(code, name)
    for path in SOURCE.rglob("*.sql"):
        for code in re.findall(rf"'({CODE}):", path.read_text(encoding="utf-8")):
            found.setdefault(code, path.name)
    return found


def _codes_of(tree, *, speaks_venue):
    codes = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            codes |= _codes_in_text(node.value, whole=not speaks_venue)
        elif isinstance(node, ast.Call):
            if ERRORS.search(_name_of(node.func)):
                for argument in node.args[:2]:
                    codes |= _codes_in_text(getattr(argument, "value", ""), whole=True)
            for keyword in node.keywords:
                if _name_of(node.func) == "Verdict" and keyword.arg == "check":
                    check = ast.literal_eval(keyword.value)
                    codes |= set() if check in OWN_CODES else {f"{check}_DECLINED"}
    return codes


def _codes_in_text(text, *, whole):
    if not isinstance(text, str):
        return set()
    codes = set(re.findall(rf"^({CODE}): ", text)) | set(re.findall(rf"'({CODE})'", text))
    if whole:
        codes |= set(re.findall(rf"^({CODE})[ ]?$", text))
    return codes


def _name_of(function):
    return getattr(function, "attr", None) or getattr(function, "id", "")


def commands_of(command, *names):
    if isinstance(command, typer.core.TyperGroup):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from commands_of(command.get_command(context, name), *names, name)
    elif command is not None:
        yield command, " ".join(names)


def options_of(command):
    return {
        option
        for parameter in command.params
        if isinstance(parameter, typer.core.TyperOption) and not parameter.hidden
        for option in parameter.opts
        if option.startswith("--") and option not in ("--help", "--json")
    }


COMMANDS = {name: command for command, name in commands_of(get_command(app))}


class TestErrors:
    def test_every_code_has_a_row(self):
        page = (DOCS / "errors.md").read_text(encoding="utf-8")

        missing = {code: place for code, place in codes_in_source().items() if f"`{code}`" not in page}

        assert not missing, f"docs/errors.md lacks {missing}"

    def test_no_row_is_about_a_code_that_is_gone(self):
        page = (DOCS / "errors.md").read_text(encoding="utf-8")
        rows = set(re.findall(rf"^\| `({CODE})` \|", page, re.MULTILINE))

        gone = {code for code in rows - codes_in_source().keys() if not code.endswith(ENDINGS)}

        assert not gone


class TestMeanings:
    """Where a page shows a code, somebody who reads no English is told what it means and what helps."""

    def test_every_code_that_pages_show_is_said_in_every_language(self):
        shown = codes_on_pages()

        missing = {
            page.parent.name: sorted(shown - tomllib.loads(page.read_text(encoding="utf-8")).keys())
            for page in MEANINGS
        }

        assert not any(missing.values()), f"{missing}: say it in languages/*/codes.toml, too"
        assert len(shown) > 150

    def test_so_is_every_code_that_a_page_may_be_answered(self):
        answered = codes_answered()

        missing = {
            page.parent.name: sorted(answered - tomllib.loads(page.read_text(encoding="utf-8")).keys())
            for page in MEANINGS
        }

        assert not any(missing.values()), f"{missing}: say it in languages/*/codes.toml, too"
        assert len(answered) > 150

    def test_so_is_every_alert(self):
        """Each has a code of its own, and the two files that say alerts name no other codes."""
        page = (DOCS / "errors.md").read_text(encoding="utf-8")
        section = page.partition("## Alerts: what is told\n")[2].partition("\n## ")[0]
        listed = set(re.findall(rf"^[|] `({CODE})` [|]", section, re.MULTILINE))
        said = {
            code
            for name in ("table.py", "conditions.py", "tell.py")
            for code in re.findall(rf'"({CODE})"', (SOURCE / "alerts" / name).read_text(encoding="utf-8"))
        }

        assert listed == said - {
            "DAILY_LOSS_AT_LIMIT",
            "MONTHLY_DRAWDOWN",
        }  # which denials and states are told

    def test_no_meaning_is_of_a_code_that_is_gone_and_none_is_half(self):
        page = (DOCS / "errors.md").read_text(encoding="utf-8")
        said = {
            code: words for one in MEANINGS for code, words in tomllib.loads(one.read_text("utf-8")).items()
        }

        assert [code for code in said if f"`{code}`" not in page] == []
        assert [code for code, words in said.items() if not 1 <= len(words) <= 2 or not all(words)] == []

    def test_every_language_but_english_has_them(self):
        """English stands in docs/errors.md, and the desk's own words are English."""
        assert {one.parent.name for one in MEANINGS} == set(LANGUAGES) - {ENGLISH}


def codes_answered():
    """Give the codes of errors.md that the API answers with a status of HTTP; the paper exchange has no pages."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    found = set()
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        if not section.startswith("The paper exchange"):
            for first, second in re.findall(r"^[|] (`[A-Z].*?) [|] (.*?) [|]", section, re.MULTILINE):
                if re.search(r"\b[45]\d\d\b", second):
                    found |= set(re.findall(rf"`({CODE})`", first))
    return found


def codes_on_pages():
    """Give the codes of errors.md that stand with what is stored; those that only whoever calls is told have a status."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    found = set()
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        if not section.startswith(STORED):
            continue
        for first, second in re.findall(r"^[|] (`[A-Z].*?) [|] (.*?) [|]", section, re.MULTILINE):
            if second not in ("ok", "inapplicable") and not re.search(r"^[45]\d\d\b|HTTP 4", second):
                found |= set(re.findall(rf"`({CODE})`", first))
    return {code for code in found if not code.startswith("LAB_")}  # the lab's pages say these themselves


class TestCommands:
    def test_every_command_is_on_the_page(self):
        page = (DOCS / "cli.md").read_text(encoding="utf-8")

        assert [name for name in COMMANDS if f"pregao {name}" not in page] == []

    def test_every_option_is_on_the_page(self):
        page = (DOCS / "cli.md").read_text(encoding="utf-8")
        sections = {
            section.partition("\n")[0].removeprefix("pregao "): section
            for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]
        }

        missing = [
            f"{name} {option}"
            for name, command in COMMANDS.items()
            for option in options_of(command)
            if option not in sections.get(name, "")
        ]

        assert missing == []

    def test_no_page_names_a_command_that_is_gone(self):
        words = {word for name in COMMANDS for word in name.split()[:1]}
        for page in PAGES:
            for named in re.findall(r"`pregao ([a-z][a-z-]*)", page.read_text(encoding="utf-8")):
                assert named in words, f"{page.relative_to(ROOT)}: pregao {named}"

    def test_the_readme_names_commands_that_exist(self):
        for name in ("README.md", "README.pt-BR.md"):
            page = (ROOT / name).read_text(encoding="utf-8")
            script = (ROOT / "run.py").read_text(encoding="utf-8")
            assert "python run.py --test" in page
            assert "python3 run.py --test" in page
            assert all(f'"{flag}"' in script for flag in re.findall(r"`?(?:run\.py )(--[a-z-]+)", page))
            for named in re.findall(r"^\$pregao ([a-z -]+?)(?: \"| -|$)", page, re.MULTILINE):
                assert named in COMMANDS, named


class TestDecisions:
    def test_each_has_its_number_and_its_parts(self):
        pages = sorted((DOCS / "decisions").glob("*.md"))
        assert pages
        for number, path in enumerate(pages, start=1):
            lines = path.read_text(encoding="utf-8").splitlines()
            assert path.name.startswith(f"{number:04}-"), path.name
            assert lines[0].startswith(f"# {number}. "), path.name
            assert len([line for line in lines if not line.startswith("| ")]) <= 45, (
                f"{path.name} has {len(lines)} lines"
            )
            for part in ("## Context", "## Decision", "## Consequences"):
                assert part in lines, f"{path.name} lacks {part}"

    def test_every_dependency_is_defended(self):
        page = (DOCS / "decisions" / "0010-dependencies.md").read_text(encoding="utf-8")
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        listed = project.partition("\ndependencies = [")[2].partition("\n]")[0]
        for name in re.findall(r'^\s*"([a-z0-9-]+)', listed, re.MULTILINE):
            assert f"| {name} |" in page, name


class TestGlossary:
    def test_every_file_it_names_exists(self):
        page = (DOCS / "glossary.md").read_text(encoding="utf-8")
        named = re.findall(r"`([a-z_/]+(?:\.py|/))`", page)
        assert named
        for name in named:
            assert (SOURCE / name).exists(), name

    def test_it_has_every_fact(self):
        page = (DOCS / "glossary.md").read_text(encoding="utf-8")

        assert [name for name in FACTS if f"| `{name}` |" not in page] == []

    def test_it_has_every_room(self):
        page = (DOCS / "glossary.md").read_text(encoding="utf-8")
        rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"bootstrap"}

        assert [room for room in sorted(rooms) if f"`{room}/`" not in page] == []


class TestLinks:
    def test_no_link_within_the_pages_is_broken(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"

    def test_the_architecture_shows_every_table(self):
        page = (DOCS / "architecture.md").read_text(encoding="utf-8")
        for script in (SOURCE / "edges/postgres/migrations/versions").glob("*.sql"):
            tables = re.findall(r"^CREATE TABLE (\w+) \($", script.read_text(encoding="utf-8"), re.MULTILINE)
            assert [table for table in tables if f"| `{table}` |" not in page] == []
