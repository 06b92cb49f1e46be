//! `serin judge`: windows in, evidence and verdicts out, with the code that judges rollouts.
//!
//! It exists so that the judge can be examined, and used, by others: what they write down of any two versions (the
//! format is told in `serin_judge::lines`) is judged line by line, and each window is answered before the next is
//! read, so that a program at the other end of a pipe may ask and wait.
//!
//! A window that can't be true, or comes out of order, is no evidence: it is answered with what was known before it
//! and named on standard error, and the exit code tells at the end. A line that is not understood at all ends the
//! reading, since nothing after it could be trusted.

mod answer;
mod options;
mod session;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use serin_config::limits::JUDGE_LINE_BYTES_MAX;
use serin_judge::lines::{End, Head, Kind, Moment, Run};

use super::{NO, can_not};
use answer::Form;
use options::Options;
pub(super) use session::{Decision, Session};

/// What to judge, and by which policy.
#[derive(Debug, Args)]
#[command(after_help = "\
A line in, for each run: {\"type\":\"run\",\"run\":0,\"window_s\":1.0,\"weight\":0.05,\"buckets\":{\"scheme\":\"log2\",
\"v0_ms\":0.5,\"per_octave\":16,\"count\":240},\"routes\":[\"r0\"]}; then any number of
{\"type\":\"pre\",\"t\":-60,\"routes\":{\"r0\":{\"baseline\":{\"n\":90,\"err\":0,\"hist\":{\"77\":90}}}}} and
{\"type\":\"win\",\"t\":0,\"routes\":{\"r0\":{\"baseline\":{\"n\":..,\"err\":..,\"hist\":{..}},\"canary\":{..}}}};
then {\"type\":\"end\",\"run\":0}. `err_clients` beside `err` counts distinct clients
with an error, each in the first window of the run in which it had one.
A line out, for each win: {\"t\":0,\"decision\":\"continue|rollback|promote\",\"log_e\":..,\"reason\":\"..\"}; log_e is
the natural logarithm of the evidence against the canary, null where there is none at all.
Exit codes: 0 all was judged; 1 a line was refused, each is named on stderr; 2 it can't be read.")]
pub(crate) struct Arguments {
    /// The windows, as JSON lines; - for standard input
    #[arg(long, value_name = "FILE")]
    windows: PathBuf,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    form: Form,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.windows.as_os_str() == "-" {
        return judge(arguments, io::stdin().lock());
    }
    match File::open(&arguments.windows) {
        Ok(file) => judge(arguments, BufReader::new(file)),
        Err(error) => can_not(format_args!("{}: {error}", arguments.windows.display())),
    }
}

fn judge(arguments: &Arguments, mut from: impl BufRead) -> ExitCode {
    let mut judging = Judging { arguments, session: None, refused: 0 };
    let mut to = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        match (&mut from).take(JUDGE_LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) if line.len() > JUDGE_LINE_BYTES_MAX => {
                complain(number, format_args!("the line is longer than {JUDGE_LINE_BYTES_MAX} bytes"));
                return ExitCode::from(NO);
            }
            Ok(_) => {}
            Err(error) => return can_not(format_args!("line {number} can't be read: {error}")),
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match judging.take(number, &line, &mut to) {
            Ok(()) => {}
            Err(Stop::Line(why)) => judging.refuse(number, why),
            // Whoever reads has heard enough.
            Err(Stop::Answer(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(Stop::Answer(error)) => return can_not(format_args!("the answer can't be written: {error}")),
        }
    }
    if judging.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

/// Says what is wrong with a line.
fn complain(number: u64, why: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "serin: line {number}: {why}");
}

/// Why a line gives no answer.
enum Stop {
    Line(String),
    Answer(io::Error),
}

impl From<serde_json::Error> for Stop {
    fn from(error: serde_json::Error) -> Self {
        Self::Line(format!("not understood: {error}"))
    }
}

/// All lines so far.
struct Judging<'a> {
    arguments: &'a Arguments,
    session: Option<Session>,
    refused: u64,
}

impl Judging<'_> {
    fn take(&mut self, number: u64, line: &[u8], to: &mut impl Write) -> Result<(), Stop> {
        match serde_json::from_slice::<Head>(line)?.kind {
            Kind::Run => {
                // Should this line be wrong, what follows belongs to no run, and not to the one before.
                self.session = None;
                let run: Run = serde_json::from_slice(line)?;
                let policy = self.arguments.options.policy(&run);
                let session = Session::new(run, &policy).map_err(|why| Stop::Line(why.to_string()))?;
                let late = self.arguments.options.late_starts;
                self.session = Some(if late { session } else { session.without_late_starts() });
            }
            Kind::Pre => {
                let moment: Moment = serde_json::from_slice(line)?;
                if let Err(why) = self.running()?.pre(moment) {
                    self.refuse(number, &why);
                }
            }
            Kind::Win => {
                let moment: Moment = serde_json::from_slice(line)?;
                let t = moment.t;
                let refused = self.running()?.window(moment).err().map(|why| why.to_string());
                if let Some(why) = &refused {
                    self.refuse(number, why);
                }
                let form = &self.arguments.form;
                form.write(&*self.running()?, t, refused, to)
                    .and_then(|()| to.flush())
                    .map_err(Stop::Answer)?;
            }
            Kind::End => {
                let end: End = serde_json::from_slice(line)?;
                let run = self.running()?.run();
                if end.run != run {
                    return Err(Stop::Line(format!("this ends run {}, but run {run} is open", end.run)));
                }
                self.session = None;
            }
        }
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Session, Stop> {
        let none = || Stop::Line("no run is open: a line of type \"run\" comes first".into());
        self.session.as_mut().ok_or_else(none)
    }

    fn refuse(&mut self, number: u64, why: impl std::fmt::Display) {
        self.refused += 1;
        complain(number, format_args!("refused: {why}"));
    }
}
