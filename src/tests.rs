//! Shared by unit tests: goldenscripts as tests, each script of a folder by its name.

/// `scripts! { folder, runner; script, … }`: a test for each script, and one that demands a test for every file.
macro_rules! scripts {
    ($folder:expr, $runner:expr; $($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            goldenscript::run(&mut $runner, std::path::Path::new($folder).join(stringify!($name))).unwrap();
        })*

        #[test]
        fn every_script_is_run() {
            let mut names: Vec<_> = std::fs::read_dir($folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}
pub(crate) use scripts;
