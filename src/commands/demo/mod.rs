//! `serin demo`: a rollout before your eyes, with the real proxy, control plane and judge over real sockets.
//!
//! Two versions of a small service, Serin in front of them, open-loop load from the built-in generator. The
//! canary starts well and then begins to fail, or to be slow, or stays good.

mod ending;
mod scene;
mod table;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use http::Method;
use serin_control::{rollout::State, status::Status};
use serin_loadtest::{Load, Pace, Rate, Running, Schedule, Stop, Target};
use serin_proxy::Inherited;
use tokio::{sync::watch, time::Instant};

use self::{
    ending::Ending,
    scene::{Scene, Story},
    table::Table,
};
use super::{
    NO, can_not,
    client::Api,
    logging::{self, LogFormat},
    print,
    serving::Serving,
    shutdown::{Asked, Signals},
};

/// Which story to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing to install, nothing to configure; ports are picked free, on loopback only.
Exit codes: 0 the story ended as it should; 1 it did not, or was interrupted; 2 it could not start.")]
pub(crate) struct Arguments {
    /// The canary stays good, and is promoted
    #[arg(long, conflicts_with = "slow")]
    good: bool,
    /// The canary becomes slow, and is rolled back
    #[arg(long)]
    slow: bool,
}

/// Requests a second.
const RATE: f64 = 1_500.0;
/// Seconds of stable traffic before the rollout starts.
const BEFORE: Duration = Duration::from_secs(2);
/// Seconds at the last weight before the end, to see that the errors have stopped.
const AFTER: Duration = Duration::from_secs(3);
/// A story that takes longer than this did not go as it should.
const LONGEST: Duration = Duration::from_secs(180);

/// Why the demo can't be shown.
type CanNot = Box<dyn std::error::Error>;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let story = match (arguments.good, arguments.slow) {
        (true, _) => Story::Good,
        (_, true) => Story::Slow,
        _ => Story::Failing,
    };
    let shown = logging::start(LogFormat::Text, "warn").map_err(Into::into).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let scene = Scene::build(story)?;
        runtime.block_on(show(&scene))
    });
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NO),
        Err(error) => can_not(format_args!("the demo can't be shown: {error}")),
    }
}

/// Tells the story; true if it ended as it should.
async fn show(scene: &Scene) -> Result<bool, CanNot> {
    let serving = Serving::start(&scene.config, Inherited::none(), Duration::ZERO).await?;
    let Some(control) = serving.control() else {
        return Err("there is no control plane".into());
    };
    let api = Api::own(control.address());
    let Some((_, front)) = serving.proxy.listeners().first() else {
        return Err("there is no listener".into());
    };
    print(&scene.introduction(front, serving.proxy.admin(), &control.address()));
    let schedule = Schedule::Poisson { rate: Rate::try_new(RATE)?, seed: 1 };
    let load =
        Load::new(Target::new(front.clone()), Pace::Open(schedule), Stop::After(LONGEST + BEFORE + AFTER));
    let load = load.start()?;
    let told = tell(scene, control.status(), &api, load).await;
    serving.stop(serin_proxy::Ending::Stop).await;
    let Some(ending) = told? else {
        print("\nInterrupted.\n");
        return Ok(false);
    };
    print(&ending.screen());
    Ok(ending.as_it_should())
}

/// One line a second until the rollout has ended. None if it was interrupted.
async fn tell(
    scene: &Scene,
    mut status: watch::Receiver<Arc<Status>>,
    api: &Api,
    load: Running,
) -> Result<Option<Ending>, CanNot> {
    let mut signals = Signals::listen()?;
    let table = Table::new();
    print(&table.head());
    let begun = Instant::now();
    let longest = tokio::time::sleep(LONGEST);
    tokio::pin!(longest);
    let (mut started, mut turned, mut ended) = (false, None::<Instant>, None::<Instant>);
    let (mut last_second, mut late) = (0, false);
    loop {
        tokio::select! {
            changed = status.changed() => changed?,
            asked = signals.next() => if asked == Asked::Stop { return Ok(None) },
            () = &mut longest => late = true,
        }
        let service = status.borrow_and_update().services.get(scene::SERVICE).cloned();
        let Some(service) = service else { continue };
        let second = service.seconds.last().map_or(0, |second| second.at);
        if second == last_second && !late {
            continue;
        }
        last_second = second;
        print(&table.line(begun.elapsed(), &service));
        if !started && !late {
            if begun.elapsed() >= BEFORE {
                started = true;
                api_start(api).await?;
                print(&table.event("the rollout starts"));
            }
            continue;
        }
        let Some(rollout) = service.rollout else {
            if late {
                return Err("no traffic was seen, so the rollout never began".into());
            }
            continue;
        };
        let at_second_step = matches!(rollout.state, State::Running { step: 1.. });
        if turned.is_none() && at_second_step && scene.turn() {
            turned = Some(Instant::now());
            print(&table.event(scene.story.turn_sentence()));
        }
        if !rollout.live && ended.is_none() {
            ended = Some(Instant::now());
            print(&table.event(&rollout.summary));
        }
        if late || ended.is_some_and(|ended| ended.elapsed() >= AFTER) {
            let took = turned.zip(ended).map(|(turned, ended)| ended.duration_since(turned));
            load.cancel();
            let explained = api.call(Method::GET, &scene::path("/explain"), None).await?.body;
            return Ok(Some(Ending {
                story: scene.story,
                rollout,
                took,
                explained,
                report: load.report().await?,
            }));
        }
    }
}

async fn api_start(api: &Api) -> Result<(), CanNot> {
    let body = r#"{"action": "start", "reason": "demo"}"#.to_owned();
    let answer = api.call(Method::POST, &scene::path(""), Some(body)).await?;
    if answer.status.is_success() { Ok(()) } else { Err(answer.problem().into()) }
}
