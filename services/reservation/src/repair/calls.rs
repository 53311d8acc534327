//! Calls of the repair: made until they are answered, and by halves when they are refused, so that one damaged row stops nobody but
//! itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Response, Status};

/// How long a service that is away or busy is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait before it is asked again, unless it says otherwise.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Makes a call until it is answered, for so long.
pub(super) async fn insist<T>(call: impl AsyncFn() -> Result<Response<T>, Status>) -> Result<T, Status> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if api::is_outage(status.code()) && Instant::now() < until => {
                sleep(api::retry_delay_of(&status).unwrap_or(RETRY_DELAY)).await;
            }
            Err(status) => return Err(status),
        }
    }
}

/// Why a part was not done.
#[derive(Debug)]
pub(super) enum Refused {
    /// Because of what is in it: a smaller part may do.
    Part(String),
    /// Whatever is in it.
    All(anyhow::Error),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Internal | Code::InvalidArgument | Code::OutOfRange | Code::DataLoss => {
                Self::Part(format!("the catalog fails at it: {}", status.message()))
            }
            _ => Self::All(status.into()),
        }
    }
}

/// Has `ask` answer for all, each by an answer of its own: together, or, when that is refused, by halves, down to one.
pub(super) async fn by_halves<T, A>(
    all: &[T],
    ask: impl AsyncFn(&[T]) -> Result<Vec<A>, Refused>,
) -> anyhow::Result<Vec<Result<A, String>>> {
    let mut answers = Vec::with_capacity(all.len());
    let mut parts = vec![all];
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        match ask(part).await {
            Ok(part_answers) => {
                anyhow::ensure!(part_answers.len() == part.len(), "the catalog miscounted");
                answers.extend(part_answers.into_iter().map(Ok));
            }
            Err(Refused::Part(why)) if part.len() == 1 => answers.push(Err(why)),
            Err(Refused::Part(_)) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(Refused::All(error)) => return Err(error),
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles, and refuses what has a 7 in it.
    async fn double(part: &[u32]) -> Result<Vec<u32>, Refused> {
        if part.contains(&7) {
            return Err(Refused::Part("seven".to_owned()));
        }
        Ok(part.iter().map(|number| number * 2).collect())
    }

    #[tokio::test]
    async fn what_is_refused_is_refused_alone_and_answers_stay_in_their_order() {
        let answers = by_halves(&[1, 7, 3, 4, 7], double).await.expect("it goes on");
        let seven = || Err("seven".to_owned());
        assert_eq!(answers, [Ok(2), seven(), Ok(6), Ok(8), seven()]);
        assert_eq!(by_halves(&[], double).await.expect("nothing"), []);
    }

    #[tokio::test]
    async fn one_who_refuses_everything_or_miscounts_ends_it() {
        let away = async |_: &[u32]| Err::<Vec<u32>, _>(Status::permission_denied("no").into());
        assert!(by_halves(&[1, 2], away).await.is_err());
        let short = async |_: &[u32]| Ok(vec![1]);
        assert!(by_halves(&[1, 2], short).await.is_err());
    }
}
