"""Many mutants in one program: a mutated function holds its own body and that of each of its mutants, and an environment
variable says which is meant. So one build serves all of them, where one build each takes hours.

    fn f(x) { body }   ──▶   fn f(x) { if crate::mutant::is(3) { edited body } else { body } }

What cannot be chosen at run time is built alone: constants, types, signatures, `const fn`, and what does not compile in
this form, such as an `impl Trait` of two closures.
"""

import json
import os
import subprocess
from collections import defaultdict

CHOICE = """
/// Which mutant is meant.
pub(crate) mod mutant {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<u32>> = LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());

    /// Whether it is this one.
    pub(crate) fn is(number: u32) -> bool {
        *CHOSEN == Some(number)
    }
}
"""


class Chosen:
    """A mutated function: the number and the edited body of each mutant in it."""

    def __init__(self, item):
        self.item, self.bodies = item, {}

    def text(self):
        start, end = self.item.body()
        own = self.item.file.text[start:end]
        arms = "".join(f"if crate::mutant::is({number}) {{{body}}} else " for number, body in self.bodies.items())
        # Both on the lines of the function: an error of the compiler leads back to it.
        return start, end, f" {arms}{{{own}}} "


def together(mutants):
    """The functions in which mutants can be chosen; the others are left out. `mutants`: number, item, edited file."""
    functions = {}
    for number, item, edited in mutants:
        found, text = item.body(), item.file.text
        if found is None or item.file.path.name == "main.rs" or edited[:found[0]] != text[:found[0]]:
            continue
        body = edited[found[0]:len(edited) - (len(text) - found[1])]
        functions.setdefault((item.file.path, item.first), Chosen(item)).bodies[number] = body
    return list(functions.values())


def write(root, functions):
    """Writes the tree, and returns the lines of each function in it."""
    by_file, lines = defaultdict(list), []
    for function in functions:
        by_file[function.item.file].append(function)
    for file, chosen in by_file.items():
        text, shift = file.text, 0
        for function in sorted(chosen, key=lambda function: function.item.first):
            start, end, body = function.text()
            text = text[:start + shift] + body + text[end + shift:]
            first = text.count("\n", 0, start + shift) + 1
            lines.append((str(file.path), first, first + body.count("\n"), function))
            shift += len(body) - (end - start)
        (root / file.path).write_text(text)
    library = root / "src/lib.rs"
    if CHOICE not in library.read_text():
        library.write_text(library.read_text() + CHOICE)
    return lines


def build(root, target, functions):
    """Builds the tests with all mutants that compile. Returns the programs by the name of their target, and the numbers of
    the mutants in them."""
    while True:
        lines = write(root, functions)
        programs, errors, said = compiled(root, target)
        if not errors:
            return programs, [number for function in functions for number in function.bodies]
        wrong = [function for path, first, last, function in lines
                 if any(path == at and first <= line <= last for at, line in errors)]
        if not wrong:
            raise SystemExit(f"mutants: the tree does not compile:\n{said}")
        functions = [function for function in functions if function not in wrong]
        for function in wrong:
            path = root / function.item.file.path
            path.write_text(function.item.file.text)


def compiled(root, target):
    """The test programs, where the errors are, and what the compiler said of them."""
    command = ["cargo", "test", "--no-run", "--lib", "--test", "it", "--message-format=json"]
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target))
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    programs, errors, said = {}, set(), []
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["executable"] and message["profile"]["test"]:
            programs[message["target"]["name"]] = message["executable"]
        elif message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            errors |= {(span["file_name"], span["line_start"]) for span in message["message"]["spans"]}
            said.append(message["message"]["rendered"])
    if run.returncode and not errors:
        raise SystemExit(f"mutants: cargo failed:\n{run.stderr}")
    return programs, errors, "".join(said)
