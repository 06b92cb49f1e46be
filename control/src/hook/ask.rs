//! The task that asks: it does what the set of questions says, and hands back what came of it.
//!
//! It keeps nothing but which calls are under way. Each webhook has a bound of its own on those, so that one that hangs
//! keeps nobody else waiting.

use std::{collections::BTreeSet, sync::Arc};

use serin_config::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CALLS_AT_ONCE_MAX};
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, info};

use super::{
    Asked, Question, Said,
    form::{self, Subject},
};
use crate::{
    access::Access,
    command::{Actor, Command, Request},
    metrics,
    post::{Client, Post, headers},
    status::Status,
};

/// Begins to ask, until stopped.
pub(crate) fn start(access: &Access, client: &Arc<Client>, stopped: &watch::Receiver<bool>) {
    let asker = Asker { access: access.clone(), client: client.clone() };
    let mut stopped = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asker.run() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    });
}

#[derive(Clone)]
struct Asker {
    access: Access,
    client: Arc<Client>,
}

impl Asker {
    async fn run(self) {
        // The snapshot changes each second at least, so what is due is seen within one.
        let mut news = self.access.status.clone();
        let (mut calls, mut under_way) = (JoinSet::new(), BTreeSet::new());
        loop {
            let status = news.borrow_and_update().clone();
            if self.access.standing.now().leads() {
                self.ask_due(&status, &mut calls, &mut under_way);
            }
            tokio::select! {
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ended) = calls.join_next() => match ended {
                    Ok(question) => drop(under_way.remove(&question)),
                    // What panicked is not known by name: all are asked again, which they may be.
                    Err(_) => under_way.clear(),
                },
            }
        }
    }

    fn ask_due(
        &self,
        status: &Arc<Status>,
        calls: &mut JoinSet<Question>,
        under_way: &mut BTreeSet<Question>,
    ) {
        for (question, asked) in status.hooks.due(self.access.clock.now_ms()) {
            let same = under_way.iter().filter(|other| other.webhook == question.webhook).count();
            if same >= WEBHOOK_CALLS_AT_ONCE_MAX || !under_way.insert(question.clone()) {
                continue;
            }
            let (asker, status) = (self.clone(), status.clone());
            let (question, asked) = (question.clone(), asked.clone());
            calls.spawn(async move {
                if let Some(said) = asker.call(&status, &question, &asked).await {
                    asker.tell(&question, said).await;
                }
                question
            });
        }
    }

    /// One call; nothing where the file or the rollout has moved on.
    async fn call(&self, status: &Status, question: &Question, asked: &Asked) -> Option<Said> {
        let webhook = status.terms.webhook(question.webhook.as_str())?;
        let rollout = status.services.get(&question.service)?.rollout.as_ref()?;
        let rollout = Some(rollout).filter(|rollout| rollout.id == question.rollout)?;
        let subject = Subject::of(&question.service, rollout);
        let body = form::body(question, asked, &subject);
        let id = subject.id(question.step, question.when);
        let post = Post {
            url: &webhook.url,
            ca: webhook.ca.as_deref(),
            headers: headers(&id, webhook.key.as_ref(), self.access.clock.now_ms(), &body),
            body,
            wait: webhook.timeout,
            answer: Some(WEBHOOK_ANSWER_BYTES_MAX),
        };
        let said = match self.client.post(post).await {
            Ok(answer) => form::read(&answer),
            Err(failure) => Said::Failed(failure.to_string()),
        };
        let outcome = match &said {
            Said::Allow => "allow",
            Said::Deny(_) => "deny",
            Said::Wait(_) => "wait",
            Said::Failed(why) => {
                info!(%question, service = %question.service, "a webhook did not answer: {why}");
                "failed"
            }
        };
        metrics::webhook(&webhook.name, outcome);
        Some(said)
    }

    async fn tell(&self, question: &Question, said: Said) {
        let command = Command::Heard { question: Box::new(question.clone()), said };
        if let Err(error) = self.access.command(Request::new(command, Actor::Webhook, "")).await {
            debug!(%question, "an answer was not taken, and is asked for again: {error}");
        }
    }
}
