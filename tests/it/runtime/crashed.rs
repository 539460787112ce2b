//! The database dies under load, its postmaster by `kill -9`, and is started again.

use std::path::Path;

use ::http::Method;

use super::{load::Stage, program::Call};
use crate::ground::{crashable::Server, until};

const CRASHES: usize = 5;

/// Crashes the database and starts it again. Meanwhile each process says that it cannot answer now.
async fn crash(stage: &Stage, server: &mut Server) {
    let path = format!("/v1/activations/{}", "0".repeat(32));
    let call = Call { token: Some("usher_act_x"), nonce: Some("x"), ..Call::default() };
    for _ in 0..CRASHES {
        stage.all_are_answered().await;
        server.crash().await;
        for process in &stage.processes {
            let told = until("it is answered", async || {
                let told = process.try_send(Method::GET, &path, &call).await.ok()?;
                (told.status != 401).then_some(told)
            })
            .await;
            assert_eq!((told.status, told.code().as_str()), (503, "unavailable"));
        }
        server.start().await;
    }
    stage.all_are_answered().await;
}

#[tokio::test]
async fn a_database_that_is_killed_under_load_and_started_again_has_all_that_was_answered() {
    let mut server = Server::new().await;
    let url = server.database().await;
    let (stage, ushers) = Stage::new(Path::new(&url), &["first", "second"]).await;
    let crashes = async {
        crash(&stage, &mut server).await;
        ushers
    };
    stage.live(crashes, 10 * CRASHES).await;
}
