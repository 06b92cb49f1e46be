//! What others make of the served OpenAPI document: schemathesis sends what it allows and what it forbids, and compares
//! the answers with what it promises.

use std::{path::Path, process::Command};

use crate::world::{World, shop_in};

#[test]
fn schemathesis_finds_nothing_in_which_the_api_differs_from_its_document() {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let schemathesis = target.join("python/bin/schemathesis");
    assert!(
        schemathesis.exists(),
        "{} is not there: run tests/python/install once (the README's test command does)",
        schemathesis.display()
    );
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/schemathesis.toml");
    let ran = Command::new(schemathesis)
        .current_dir(directory.path())
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("http://{}/v1/openapi.json", world.address()))
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "5"])
        .args(["--checks", "all", "--no-color", "--continue-on-failure", "--generation-database", "none"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    world.stop();
}
