//! The pairs selected by a command line.

use super::process::{GRACE, Host};
use crate::rest::markets::Markets;
use crate::upbit::codes::select;

/// The list of pairs cached by an earlier start.
pub(super) fn kept(host: &Host) -> Option<Markets> {
    let data_dir = &host.config.data_dir;
    let what = format!("the list of pairs kept in {}", data_dir.display());
    host.waiting.during(what, GRACE, || Markets::kept(data_dir))
}

/// As [`select`], of all that are listed where nothing is named but exclusions.
pub(super) fn select_of_all(wanted: &[String], listed: &[String]) -> Vec<String> {
    let mut wanted = wanted.to_vec();
    if wanted.iter().all(|code| code.starts_with('!')) {
        wanted.push("*".to_owned());
    }
    select(&wanted, listed)
}
