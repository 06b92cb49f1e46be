//! What a shell wants to know of this program: completions and manual pages, made from the arguments themselves.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::{can_not, print};

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "\
bash: serin completion bash > ~/.local/share/bash-completion/completions/serin
zsh:  serin completion zsh > \"${fpath[1]}/_serin\"
fish: serin completion fish > ~/.config/fish/completions/serin.fish")]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

/// Where to put the pages.
#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// Writes a page for each command into this directory (serin.1, serin-run.1, …); without it, the page of serin
    /// itself is printed
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(super) fn completion(arguments: &Completion) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program(), "serin", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

pub(super) fn manual(arguments: &Manual) -> ExitCode {
    let written = match &arguments.dir {
        Some(directory) => std::fs::create_dir_all(directory).and_then(|()| write_all(&program(), directory)),
        None => page(program()).map(|page| print(&String::from_utf8_lossy(&page))),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => can_not(format_args!("the manual can't be written: {error}")),
    }
}

fn program() -> Command {
    let mut program = super::Arguments::command();
    // Names become those that are typed: `serin rollout start`.
    program.build();
    program
}

/// A page for the command and for each below it. The one that only prints help needs none.
fn write_all(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = directory.join(format!("{name}.1"));
    std::fs::File::create(file)?.write_all(&page(command.clone())?)?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write_all(below, directory)?;
    }
    Ok(())
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_without_contradictions() {
        super::super::Arguments::command().debug_assert();
    }

    #[test]
    fn each_command_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        write_all(&program(), directory.path()).unwrap();
        for name in ["serin", "serin-run", "serin-rollout", "serin-rollout-undo", "serin-context-set"] {
            let page = std::fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME") && page.contains("serin"), "{name}: {page}");
        }
    }
}
