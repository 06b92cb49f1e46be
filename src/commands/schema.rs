//! `serin schema`: the JSON Schema of the file.

use std::process::ExitCode;

use super::print;

pub(super) fn run() -> ExitCode {
    print(&format!("{:#}\n", serin_config::schema::json_schema()));
    ExitCode::SUCCESS
}
