"""Finds the items of a tree of Rust sources by name, and edits them by tokens: neither the file, nor the module, nor
white space and comments matter.

An item is a function, method, constant, static or type outside `#[cfg(test)]`. Its path is that of its modules, then
the type or trait around it, then its name: `recording::journal::Journal::write_out`. Any end of that path names it,
`Journal::write_out` for one, as long as no other item has the same end; `<Journal as Drop>::drop` is the method of one
trait. What stands inside a function is part of that function.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TOKEN = re.compile(r"""
    (?P<comment> //[^\n]* )
  | (?P<block> /\* )
  | (?P<text> [bc]?r(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*" | b?'(?:\\.[^']*|[^'\\])' | '\w+ )
  | (?P<code> \$?(?:r\#)?\w+ | ::|->|=>|==|!=|<=|>=|&&|\|\||\.\.=?|[-+*/]= | \S )
""", re.VERBOSE | re.DOTALL)
BLOCK_END = re.compile(r"/\*|\*/")
BLOCKS = ("mod", "impl", "trait")
ITEMS = ("fn", "struct", "enum", "union", "const", "static", "type")
CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Unapplicable(Exception):
    """An item or an edit that is not there, or that stands for more than one thing."""


class Token(NamedTuple):
    text: str
    start: int
    end: int


def tokenize(source):
    tokens, at = [], 0
    while found := TOKEN.search(source, at):
        at = found.end()
        if found["block"]:
            at = end_of_block_comment(source, at)
        elif not found["comment"]:
            tokens.append(Token(found[0], found.start(), at))
    return tokens


def end_of_block_comment(source, at):
    depth = 1
    while depth:
        found = BLOCK_END.search(source, at)
        if not found:
            return len(source)
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at


@dataclass
class Item:
    path: list
    trait: str | None
    file: "File"
    first: int
    last: int

    def is_named(self, name):
        """`name` is an end of the path, or `<Type as Trait>::method`."""
        if qualified := re.fullmatch(r"<(.+) as (\w+)>::(\w+)", name):
            type_path, trait, method = qualified.groups()
            return self.trait == trait and self.is_named(f"{type_path}::{method}")
        wanted = name.split("::")
        return self.path[-len(wanted):] == wanted

    def with_body(self, body):
        """The text of the file with another body of this function."""
        opener = self.file.next_of(self.first, "{")
        if opener >= self.last:
            raise Unapplicable(f"{self} has no body")
        return self.file.spliced(self.file.tokens[opener].end, self.file.tokens[self.last].start, f" {body} ")

    def body(self):
        """Where the body of this function begins and ends in the text of the file; `None` of anything else, and of a
        `const fn`, which could not ask at run time which body is meant."""
        tokens, before = self.file.tokens, self.first - 1
        while before >= 0 and tokens[before].text in ("unsafe", "async"):
            before -= 1
        opener = self.file.next_of(self.first, "{")
        is_const = before >= 0 and tokens[before].text == "const"
        if tokens[self.first].text != "fn" or is_const or opener >= self.last:
            return None
        return tokens[opener].end, tokens[self.last].start

    def with_edit(self, old, new):
        """The text of the file with the one occurrence of `old` in this item replaced."""
        wanted = [token.text for token in tokenize(old)]
        found = [match for at in range(self.first, self.last + 1) if (match := self.match(wanted, at))]
        if len(found) != 1:
            raise Unapplicable(f"{self} has {len(found)} places such as {old!r}")
        first, last, holes = found[0]
        if unknown := [token.text for token in tokenize(new) if token.text.startswith("$") and token.text not in holes]:
            raise Unapplicable(f"{' and '.join(unknown)} stands for nothing in {old!r}")
        filled = re.sub(r"\$\w+", lambda hole: holes[hole[0]], new)
        return self.file.spliced(self.file.tokens[first].start, self.file.tokens[last].end, filled)

    def match(self, wanted, at):
        """The first and last token of what matches from `at` on, and the text in its holes."""
        first, tokens, holes = at, self.file.tokens, {}
        for text, following in zip(wanted, [*wanted[1:], None]):
            if text.startswith("$"):
                end = self.end_of_hole(at, following)
                if end is None:
                    return None
                holes[text] = self.file.text[tokens[at].start:tokens[end - 1].end]
                at = end
            elif at <= self.last and tokens[at].text == text:
                at += 1
            else:
                return None
        return first, at - 1, holes

    def end_of_hole(self, at, following):
        """A hole holds one token at least, and leaves neither the statement nor the brackets in which it begins."""
        start, tokens = at, self.file.tokens
        while at <= self.last:
            if tokens[at].text == following and at > start:
                return at
            if tokens[at].text in (";", *CLOSERS.values()):
                return None
            at = self.file.closing.get(at, at) + 1
        return None

    def __str__(self):
        return f"{'::'.join(self.path)} in {self.file.path}"


class File:
    """One source file, its tokens and its items."""

    def __init__(self, path, modules, text):
        self.path, self.modules, self.text = path, modules, text
        self.tokens = tokenize(text)
        self.closing = closing_brackets(self.tokens)
        self.items, self.test_modules = [], []
        self.scan(0, len(self.tokens), modules, None)

    def spliced(self, start, end, text):
        return self.text[:start] + text + self.text[end:]

    def next_of(self, at, *texts):
        """Where the next of `texts` stands, brackets skipped; the end of the file without one."""
        while at < len(self.tokens) and self.tokens[at].text not in texts:
            at = self.closing.get(at, at) + 1
        return at

    def scan(self, at, end, path, trait):
        is_test = False
        while at < end:
            text, following = self.tokens[at].text, [token.text for token in self.tokens[at + 1:at + 3]]
            last = self.closing.get(at, at)
            if text == "#" and following[0] == "[":
                last = self.closing[at + 1]
                is_test |= [token.text for token in self.tokens[at + 2:last]] == ["cfg", "(", "test", ")"]
            elif text in BLOCKS:
                opener = self.next_of(at, "{", ";")
                self.scan_block(at, opener, path, is_test)
                last, is_test = self.closing.get(opener, opener), False
            elif text in ITEMS and not (text == "const" and following[0] in ("fn", "unsafe", "async", "extern")):
                last = self.end_of_item(at, text)
                if not is_test:
                    name = following[1] if following[0] == "mut" else following[0]
                    self.items.append(Item([*path, name], trait, self, at, min(last, end - 1)))
                is_test = False
            elif text in (";", "{"):
                is_test = False
            at = last + 1

    def end_of_item(self, at, keyword):
        """A value or alias ends with its semicolon; everything else with that or with its braces."""
        last = self.next_of(at, ";") if keyword in ("const", "static", "type") else self.next_of(at, "{", ";")
        return self.closing.get(last, last)

    def scan_block(self, at, opener, path, is_test):
        head = [token.text for token in self.tokens[at:opener]]
        if is_test and head[0] == "mod":
            self.test_modules.append([*path, head[1]])
        elif not is_test and opener in self.closing:
            name, trait = impl_names(head[1:]) if head[0] == "impl" else (head[1], None)
            self.scan(opener + 1, self.closing[opener], [*path, name], trait)


def closing_brackets(tokens):
    closing, open_ones = {}, []
    for at, token in enumerate(tokens):
        if token.text in CLOSERS:
            open_ones.append(at)
        elif open_ones and token.text == CLOSERS[tokens[open_ones[-1]].text]:
            closing[open_ones.pop()] = at
    return closing


def impl_names(head):
    """The type and the trait of `impl<…> Trait<…> for module::Type<…> where …`."""
    depth, names, trait = 0, [], None
    for at, text in enumerate(head):
        if depth == 0 and text == "where":
            break
        if depth == 0 and text == "for" and head[at + 1] != "<":
            trait, names = names[-1], []
        elif depth == 0 and re.fullmatch(r"\w+", text) and text not in ("mut", "dyn", "const"):
            names.append(text)
        depth += (text in ("<", "(", "[")) - (text in (">", ")", "]"))
    return (names or ["_"])[-1], trait


class Sources:
    """All items of the library and the programs below `src` of a tree."""

    def __init__(self, files):
        tests = [module for file in files for module in file.test_modules]
        self.by_name = defaultdict(list)
        for file in files:
            if not any(file.modules[:len(module)] == module for module in tests):
                for item in file.items:
                    self.by_name[item.path[-1]].append(item)

    @classmethod
    def read(cls, root):
        source = Path(root) / "src"
        paths = [path.relative_to(source) for path in sorted(source.rglob("*.rs"))]
        return cls([File("src" / path, modules_of(path), (source / path).read_text()) for path in paths])

    def find(self, name):
        found = [item for item in self.by_name[name.rsplit("::")[-1]] if item.is_named(name)]
        if not found:
            raise Unapplicable(f"no item {name}")
        if len(found) > 1:
            raise Unapplicable(f"{name} stands for " + " and ".join(map(str, found)))
        return found[0]


def modules_of(path):
    """The modules of a file below `src`."""
    parts = list(Path(path).with_suffix("").parts)
    return parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts
