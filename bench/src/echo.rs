//! Baseline E: what a gRPC call costs here, whoever answers it. A server that does nothing, in a process of its own, with
//! messages as large as those of CreateBooking.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use self::generated::echo_service_server::{EchoService, EchoServiceServer};
use self::generated::{EchoRequest, EchoResponse};
use crate::calls::encode;
use crate::load::{Tally, Until, closed};

#[allow(clippy::allow_attributes, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]
mod generated {
    tonic::include_proto!("bench.v1");
}

/// The path of the call.
const ECHO: &str = "/bench.v1.EchoService/Echo";
/// As large as a CreateBookingRequest for one unit of a product.
const REQUEST_BYTES: usize = 101;
/// As large as the answer to it.
const ANSWER_BYTES: usize = 231;

/// An echo server. It ends with its owner, however that dies.
#[derive(Debug)]
pub struct Echo {
    process: Child,
    url: String,
}

impl Echo {
    /// Starts it: this program, in another mode.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(stack::binary("bench")?);
        command.arg("echo").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("start the echo server")?;
        let output = process.stdout.take().context("the echo server has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).context("hear from the echo server")?;
        Ok(Self { process, url: format!("http://{}", address.trim()) })
    }

    /// How many calls it answers with so many in flight.
    ///
    /// # Errors
    /// A call failed.
    pub fn run(&self, in_flight: usize, time: Duration) -> Result<Tally> {
        let message = encode(&EchoRequest { payload: vec![b'x'; REQUEST_BYTES] });
        let urls = std::slice::from_ref(&self.url);
        let tally = closed(urls, in_flight, Until::Time(time), async |caller, _| {
            // Each call has a message of its own, as those with ids have.
            caller.call(ECHO, Bytes::copy_from_slice(&message)).await.map(drop)
        })?;
        tally.sound().context("baseline E")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves echoes on a free port, which it prints, until its input ends.
///
/// # Errors
/// There is no free port.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a port")?;
        let mut output = std::io::stdout();
        writeln!(output, "{}", listener.local_addr()?)?;
        output.flush()?;
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(EchoServiceServer::new(Answerer));
        let serving = server.serve_with_incoming_shutdown(incoming, async { drop(end.await) });
        serving.await.context("serve")
    })
}

#[derive(Debug)]
struct Answerer;

#[tonic::async_trait]
impl EchoService for Answerer {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        let mut payload = request.into_inner().payload;
        payload.resize(ANSWER_BYTES, b'y');
        Ok(Response::new(EchoResponse { payload }))
    }
}
