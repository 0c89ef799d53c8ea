"""The finder of Rust items and the edits by tokens, on sources that are hard to read for it:

    python3 -m unittest discover -s tests/mutants
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from source import File, Sources, Unapplicable, modules_of, tokenize
from together import together


def sources(**texts):
    """Files by their module path, with `__` for `::`."""
    return Sources([File(Path(f"src/{name}.rs"), name.split("__"), text) for name, text in texts.items()])


def text_of(item):
    return item.file.text[item.file.tokens[item.first].start:item.file.tokens[item.last].end]


def texts(source):
    return [token.text for token in tokenize(source)]


class Tokens(unittest.TestCase):
    def test_comments_are_no_tokens(self):
        self.assertEqual(texts("a // b\n/* c /* d */ e */ f /// g"), ["a", "f"])

    def test_a_comment_in_a_string_is_text(self):
        self.assertEqual(texts('f("// no", b"/* \\" {")'), ["f", "(", '"// no"', ",", 'b"/* \\" {"', ")"])

    def test_raw_strings_end_with_as_many_hashes(self):
        self.assertEqual(texts('r#"a " b \\"# br##"}"#"## r"{"'), ['r#"a " b \\"#', 'br##"}"#"##', 'r"{"'])

    def test_raw_identifiers_are_words(self):
        self.assertEqual(texts("r#type + rest"), ["r#type", "+", "rest"])

    def test_characters_and_lifetimes_differ(self):
        self.assertEqual(texts("<'a, 'static> '{' b'\\'' '\\u{7d}' '\"' '\\\\'"),
                         ["<", "'a", ",", "'static", ">", "'{'", "b'\\''", "'\\u{7d}'", "'\"'", "'\\\\'"])


class Finding(unittest.TestCase):
    def assert_found(self, found, name, text):
        self.assertEqual(text_of(found.find(name)), text)

    def test_braces_in_text_end_no_function(self):
        body = """fn f() { if a { g('}', "}", r#"}"#) /* } */ } // }\n }"""
        self.assert_found(sources(a=body + " fn g() {}"), "f", body)

    def test_generics_and_where_clauses(self):
        text = "fn f<'a, T: Into<Vec<u8>>, const N: usize>(x: [u8; N]) -> impl Fn(T) -> &'a str where T: 'a { x }"
        self.assert_found(sources(a=text), "f", text)

    def test_methods_bear_the_name_of_their_type(self):
        text = "impl<'a, F: Fn(u8) -> u8> crate::b::Box<'a, F> where F: Send { pub(crate) const fn f(&self) { 1 } }"
        self.assert_found(sources(a=text), "Box::f", "fn f(&self) { 1 }")

    def test_methods_of_a_trait_bear_that_of_the_type_too(self):
        found = sources(a="impl<T> fmt::Display for &'static mut m::Kind<T> { async unsafe fn f() {} }")
        self.assert_found(found, "Kind::f", "fn f() {}")
        self.assert_found(found, "<Kind as Display>::f", "fn f() {}")

    def test_one_of_two_traits_is_named(self):
        found = sources(a="impl From<A> for K { fn from() { 1 } } impl Make for K { fn from() { 2 } }")
        self.assert_found(found, "<K as Make>::from", "fn from() { 2 }")
        with self.assertRaisesRegex(Unapplicable, "K::from stands for a::K::from in src/a.rs and a::K::from"):
            found.find("K::from")

    def test_a_bound_over_lifetimes_is_no_implementation(self):
        text = "impl<F> Do for Own<F> where F: for<'a> Fn(&'a u8) { fn f() {} }"
        self.assert_found(sources(a=text), "Own::f", "fn f() {}")

    def test_default_methods_are_of_the_trait(self):
        self.assert_found(sources(a="trait Do: Send { fn g(); fn f() { 1 } }"), "Do::f", "fn f() { 1 }")

    def test_modules_tell_functions_apart(self):
        found = sources(x__a="fn f() { 1 }", b="mod inner { fn f() { 2 } }")
        self.assert_found(found, "x::a::f", "fn f() { 1 }")
        self.assert_found(found, "inner::f", "fn f() { 2 }")
        with self.assertRaisesRegex(Unapplicable, "f stands for x::a::f in src/x__a.rs and b::inner::f in src/b.rs"):
            found.find("f")

    def test_test_modules_are_left_out(self):
        text = "#[cfg(test)] #[path = \"x\"] mod tests { impl K { fn f() { 1 } } } fn f() { 2 } #[cfg(test)] mod more;"
        self.assert_found(sources(a=text, a__more="fn f() { 3 }"), "f", "fn f() { 2 }")

    def test_an_attribute_holds_for_one_item(self):
        text = "#[cfg(test)] pub(crate) use a::b; #[cfg(test)] pub const fn g() {} #[cfg(unix)] fn f() {}"
        self.assert_found(sources(a=text), "f", "fn f() {}")
        with self.assertRaisesRegex(Unapplicable, "no item g"):
            sources(a=text).find("g")

    def test_constants_and_types(self):
        text = "pub const N: [u8; 2] = [1; 2]; static mut S: u8 = { 3 }; struct T(u8); enum E { A { b: u8 }, C }"
        found = sources(a=text)
        self.assert_found(found, "N", "const N: [u8; 2] = [1; 2];")
        self.assert_found(found, "S", "static mut S: u8 = { 3 };")
        self.assert_found(found, "E", "enum E { A { b: u8 }, C }")

    def test_what_a_function_holds_is_part_of_it(self):
        with self.assertRaisesRegex(Unapplicable, "no item g"):
            sources(a="fn f() { fn g() {} macro_rules! m { () => { fn g() {} } } }").find("g")

    def test_macros_hold_no_items(self):
        self.assert_found(sources(a="macro_rules! m { ($a:expr) => { fn f() {} } } fn f() { 1 }"), "f", "fn f() { 1 }")

    def test_modules_come_from_the_path(self):
        modules = [modules_of(path) for path in ("lib.rs", "a.rs", "a/mod.rs", "a/b.rs")]
        self.assertEqual(modules, [[], ["a"], ["a"], ["a", "b"]])


class Editing(unittest.TestCase):
    def edited(self, source, old, new):
        return sources(a=source).find("f").with_edit(old, new)

    def test_white_space_and_comments_do_not_matter(self):
        self.assertEqual(self.edited("fn f() { a\n  .b( /* c */ 1 ) }", "a.b(1)", "d"), "fn f() { d }")

    def test_a_hole_is_filled_again(self):
        self.assertEqual(self.edited("fn f() { let x = a(1, [2]); }", "= $v;", "= g($v, $v);"),
                         "fn f() { let x = g(a(1, [2]), a(1, [2])); }")

    def test_a_hole_stays_in_its_statement_and_brackets(self):
        source = "fn f() { if (a) { b; c } d = e; }"
        self.assertEqual(self.edited(source, "($x)", "()"), "fn f() { if () { b; c } d = e; }")
        for old in ("b $x c", "c $x d", "($x) }"):
            with self.assertRaisesRegex(Unapplicable, "has 0 places"):
                self.edited(source, old, "")

    def test_a_hole_is_never_empty(self):
        with self.assertRaisesRegex(Unapplicable, "has 0 places"):
            self.edited("fn f() { g() }", "g($x)", "")

    def test_two_places_are_ambiguous(self):
        with self.assertRaisesRegex(Unapplicable, "a::f in src/a.rs has 2 places such as 'g\\(\\)'"):
            self.edited("fn f() { g(); g() }", "g()", "")

    def test_places_outside_of_the_function_do_not_count(self):
        self.assertEqual(self.edited("fn e() { g() } fn f() { g() }", "g()", ""), "fn e() { g() } fn f() {  }")

    def test_an_unknown_hole_is_refused(self):
        with self.assertRaisesRegex(Unapplicable, "\\$y stands for nothing"):
            self.edited("fn f() { g(1) }", "g($x)", "$y")

    def test_a_body_is_replaced_whole(self):
        item = sources(a="fn f() -> [u8; 1] { if a { b } }\nfn g();").find("f")
        self.assertEqual(item.with_body("[1]"), "fn f() -> [u8; 1] { [1] }\nfn g();")

    def test_a_declaration_has_no_body(self):
        with self.assertRaisesRegex(Unapplicable, "a::T::f in src/a.rs has no body"):
            sources(a="trait T { fn f(); } fn g() {}").find("f").with_body("1")

    def test_a_body_that_can_be_chosen(self):
        def body(source):
            item = sources(a=source).find("f")
            found = item.body()
            return found and item.file.text[slice(*found)]

        self.assertEqual(body("pub async unsafe fn f() -> [u8; 1] { if a { b } }"), " if a { b } ")
        for source in ("const fn f() { 1 }", "pub const unsafe fn f() { 1 }", "trait T { fn f(); }", "const f: u8 = { 1 };"):
            self.assertIsNone(body(source), source)


class Together(unittest.TestCase):
    def test_each_body_is_chosen_by_its_number(self):
        item = sources(a="fn f(x: u8) -> u8 { x + 1 }\nfn g() {}").find("f")
        mutants = [(3, item, item.with_edit("+", "-")), (5, item, item.with_body("0")), (7, item, item.with_edit("x: u8", "x: u16"))]
        (function,) = together(mutants)
        self.assertEqual(function.text()[2],
                         " if crate::mutant::is(3) { x - 1 } else if crate::mutant::is(5) { 0 } else { x + 1 } ")


if __name__ == "__main__":
    unittest.main()
