//! Reads the part of `[private]` that is about the account's keys, and finds the source of each.
//!
//! ```text
//! private.access_key_file ─▶ UPBIT_ACCESS_KEY ─▶ $CREDENTIALS_DIRECTORY/access_key        the first that has a key
//! ```

use super::files::Guard;
use super::keys::{ACCESS, Key, KeySource, KeySources, SECRET, key_problem, read_key_file};
use super::layers::Sources;
use super::reader::Reader;
use crate::upbit::auth::JwtAlgorithm;
use std::path::{Path, PathBuf};

/// Reads the keys' part of `[private]`. No source is read while that connection is off.
pub(super) fn read(reader: &mut Reader<'_>, sources: &Sources, enabled: bool) -> Option<KeySources> {
    let access = read_path(reader, &ACCESS);
    let secret = read_path(reader, &SECRET);
    let jwt_algorithm = reader.text("private.jwt_algorithm", |text| match text {
        "HS512" => Ok(JwtAlgorithm::Hs512),
        "HS256" => Ok(JwtAlgorithm::Hs256),
        other => Err(format!("`{other}` is unknown: expected HS512 or HS256")),
    });
    if !enabled {
        return None;
    }
    let access = find(reader, sources, &ACCESS, access);
    let secret = find(reader, sources, &SECRET, secret);
    match (access, secret) {
        (Ok(access_key), Ok(secret_key)) => Some(KeySources { access_key, secret_key, jwt_algorithm }),
        (Err(Missing(access)), Err(Missing(secret))) => {
            let hint = "set one of these for each key, or disable the connection";
            reader.refuse_openly("private.enabled", format!("there are no keys: {access}; {secret}; {hint}"));
            None
        }
        (Err(Missing(places)), Ok(other)) => lone(reader, &ACCESS, &places, &other),
        (Ok(other), Err(Missing(places))) => lone(reader, &SECRET, &places, &other),
    }
}

/// The file of one key. A text that names no existing file is concealed, since it may be the key itself.
fn read_path(reader: &mut Reader<'_>, key: &Key) -> Option<PathBuf> {
    let path = reader.leaf(key.setting, |value| match value.as_str() {
        Some("") => Ok(None),
        Some(path) => Ok(Some(PathBuf::from(path))),
        None => {
            Err("expected the name of a file, in quotes; what is written is not shown, as it may be a key".to_owned())
        }
    });
    if path.as_ref().is_some_and(|path| path.symlink_metadata().is_err()) {
        reader.conceal(key.setting);
    }
    path
}

/// The sources that hold no key.
struct Missing(String);

/// The first source that has the key; a file that is configured and unusable is a fault.
fn find(reader: &mut Reader<'_>, sources: &Sources, key: &Key, file: Option<PathBuf>) -> Result<KeySource, Missing> {
    if let Some(path) = file {
        if let Err(problem) = check_file(&path) {
            reader.refuse(key.setting, problem);
        }
        return Ok(KeySource::File(path));
    }
    if let Some(value) = sources.variable(key.variable).filter(|value| !value.trim().is_empty()) {
        if let Some(problem) = key_problem(value) {
            reader.refuse_openly(key.setting, format!("it is empty, and {} {problem}", key.variable));
        }
        return Ok(KeySource::Variable(key.variable));
    }
    let Some(directory) = sources.variable("CREDENTIALS_DIRECTORY") else {
        return Err(Missing(format!(
            "{} is empty, {} and CREDENTIALS_DIRECTORY are not set",
            key.setting, key.variable
        )));
    };
    // systemd protects this directory by other means than a file's mode.
    let path = Path::new(directory).join(key.credential);
    let text = read_key_file(&path, Guard::Owner);
    let holds_a_key = !matches!(&text, Ok(text) if text.trim().is_empty()) && path.exists();
    if let Some(problem) = unusable(&path, text).filter(|_| holds_a_key) {
        reader.refuse_openly(key.setting, format!("it is empty, {} is not set, and {problem}", key.variable));
    }
    let places = format!("{} is empty, {} is not set, {} holds no key", key.setting, key.variable, path.display());
    if holds_a_key { Ok(KeySource::File(path)) } else { Err(Missing(places)) }
}

fn check_file(path: &Path) -> Result<(), String> {
    let unshown = "its name is not shown, as it may be a key typed in the place of one";
    path.metadata().map_err(|error| format!("the file that is named here cannot be read ({error}); {unshown}"))?;
    unusable(path, read_key_file(path, Guard::OwnerAlone)).map_or(Ok(()), Err)
}

/// Why there is no key in a file that holds `text`.
fn unusable(path: &Path, text: Result<String, String>) -> Option<String> {
    let shown = path.display();
    match text {
        Ok(text) => key_problem(&text).map(|problem| format!("{shown} {problem}")),
        Err(problem) => Some(format!("{shown}: {problem}")),
    }
}

fn lone(reader: &mut Reader<'_>, key: &Key, places: &str, other: &KeySource) -> Option<KeySources> {
    let problem = format!("one key without the other, which is in {other}: {places}");
    reader.refuse_together([key.setting, "private.enabled"], problem);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Faults, load};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn load_with(environment: &[(&str, &str)], assignments: &[String]) -> Result<Config, Faults> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut all = vec!["private.enabled=true".to_owned()];
        all.extend_from_slice(assignments);
        load(&Sources { file: None, environment, assignments: all }).map(|loaded| loaded.config)
    }

    #[test]
    fn keys_are_found_in_the_environment() {
        let config = load_with(&[("UPBIT_ACCESS_KEY", "a"), ("UPBIT_SECRET_KEY", "b")], &[]).unwrap();
        let credentials = config.credentials.clone().unwrap();
        assert_eq!(credentials.secret_key, KeySource::Variable("UPBIT_SECRET_KEY"));
        assert_eq!(credentials.jwt_algorithm, JwtAlgorithm::Hs512);
    }

    #[test]
    fn keys_are_found_where_systemd_puts_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        for name in ["access_key", "secret_key"] {
            std::fs::write(directory.path().join(name), "k\n").unwrap();
        }
        let credentials = load_with(&[("CREDENTIALS_DIRECTORY", path)], &[]).unwrap().credentials.unwrap();
        assert_eq!(credentials.access_key, KeySource::File(directory.path().join("access_key")));
        assert_eq!(credentials.load().unwrap().secret_key.expose(), "k");
        std::fs::write(directory.path().join("secret_key"), "\n").unwrap();
        assert!(credentials.load().unwrap_err().to_string().ends_with("secret_key: it is empty"));
    }

    #[test]
    fn a_key_typed_in_the_place_of_its_file_is_not_repeated() {
        let typed = |setting: &str| format!("private.{setting}_key_file=AKIAhunter2");
        for assignments in [&["access", "secret"][..], &["access"], &["secret"]] {
            let assignments: Vec<String> = assignments.iter().map(|setting| typed(setting)).collect();
            let faults = load_with(&[], &assignments).unwrap_err();
            let text = faults.to_string();
            let keys: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
            assert!(!text.contains("hunter2") && keys.iter().any(|key| key.ends_with("_key_file")), "{text}");
        }
        for value in ["4711", "['AKIAhunter2']", "{ AKIAhunter2 = 'x' }"] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("my.toml");
            std::fs::write(&file, format!("[private]\naccess_key_file = {value}")).unwrap();
            let text = load(&Sources { file: Some(file), ..Sources::default() }).unwrap_err().to_string();
            assert!(text.contains("private.access_key_file: ") && text.contains("not shown"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("4711"), "{text}");
        }
        // Nor while the source is not read at all.
        let sources = Sources { assignments: vec![typed("access")], ..Sources::default() };
        let settings = load(&sources).unwrap().settings;
        assert!(settings.iter().any(|setting| setting.key == ACCESS.setting && setting.origin.is_secret()));
    }

    #[test]
    fn no_key_is_one_fault_that_names_every_source() {
        let faults = load_with(&[], &[]).unwrap_err();
        let text = faults.to_string();
        assert_eq!(faults.0.len(), 1, "{text}");
        for place in ["private.access_key_file", "UPBIT_SECRET_KEY", "CREDENTIALS_DIRECTORY"] {
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn one_key_without_the_other_is_a_fault() {
        let text = load_with(&[("UPBIT_ACCESS_KEY", "hunter2")], &[]).unwrap_err().to_string();
        assert!(text.contains("one key without the other") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn keys_that_would_be_refused_are_told_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("access_key");
        let path = file.to_str().unwrap();
        std::fs::write(&file, "k").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(directory.path().join("secret_key"), "k").unwrap();
        for (text, problem) in [
            ("\"hunter2\"\n", "has quotes in it"),
            ("'hunter2'", "has quotes in it"),
            ("\u{201c}hunter2\u{201d}", "has quotes in it"),
            ("\u{feff}hunter2", "byte order mark"),
            ("hunter2 hunter2", "white space inside"),
            ("hunter2\nhunter2\n", "white space inside"),
            ("hunter2\u{a0}hunter2", "white space inside"),
            ("hunter2\u{200b}", "cannot be seen"),
            ("hunter2\u{7f}", "cannot be seen"),
            ("hunter2é", "no key has"),
        ] {
            std::fs::write(&file, text).unwrap();
            let places = [("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())];
            let named = [format!("private.access_key_file={path}")];
            let own = [("UPBIT_ACCESS_KEY", text), ("UPBIT_SECRET_KEY", "k")];
            for (loaded, place) in [
                (load_with(&[("UPBIT_SECRET_KEY", "k")], &named), path),
                (load_with(&own, &[]), "UPBIT_ACCESS_KEY"),
                (load_with(&places, &[]), path),
            ] {
                let faults = loaded.unwrap_err();
                let shown = faults.to_string();
                assert_eq!(faults.0.len(), 1, "{shown}");
                assert!(shown.contains(problem) && shown.contains(place) && !shown.contains("hunter2"), "{shown}");
            }
            let error = KeySource::File(file.clone()).load().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains(path) && !error.contains("hunter2"), "{error}");
        }
        // Saved by an editor that writes two bytes a character.
        std::fs::write(&file, b"\xff\xfeh\0u\0").unwrap();
        let named = [format!("private.access_key_file={path}")];
        let shown = load_with(&[("UPBIT_SECRET_KEY", "k")], &named).unwrap_err().to_string();
        assert!(shown.contains("no plain text"), "{shown}");
        std::fs::write(&file, "\n hunter2 \r\n").unwrap();
        assert_eq!(KeySource::File(file).load().unwrap().expose(), "hunter2");
    }

    #[test]
    fn a_key_file_must_be_there_hold_a_key_and_be_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let path = file.to_str().unwrap();
        let set = |key: &str| format!("private.{key}_key_file={path}");
        let problem = || load_with(&[], &[set("access"), set("secret")]).map_err(|faults| faults.to_string());
        assert!(problem().unwrap_err().contains("cannot be read"));
        std::fs::write(&file, " \n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(problem().unwrap_err().contains("is empty"));
        std::fs::write(&file, "k").unwrap();
        assert!(problem().is_ok());
        std::fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
        assert!(problem().unwrap_err().contains("chmod 600"));
    }
}
