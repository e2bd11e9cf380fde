//! The next hop: keeps what it takes, and is as unreliable as next hops are.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::ledger::Arrival;
use super::load::recognize;

/// The local part that is refused for good.
pub(super) const REFUSED: &str = "refused";
/// One recipient in so many is told to come again.
const DEFER_ONE_IN: u32 = 20;
/// One connection in so many is dropped when the mail data has come, without an answer.
const DROP_ONE_IN: u32 = 100;
const LINE_MAX_OCTETS: u64 = 4096;

type Kept = Arc<Mutex<Vec<Arrival>>>;

/// A running sink.
pub(super) struct Sink {
    address: SocketAddr,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn open(mut random: fastrand::Rng) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on loopback")?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let shared = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A session that breaks off is what happens when the server is killed.
                tokio::spawn(serve(stream, Arc::clone(&shared), random.fork()));
            }
        });
        Ok(Self { address, kept, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and returns what it has taken.
    pub(super) fn close(self) -> Vec<Arrival> {
        self.task.abort();
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(stream: TcpStream, kept: Kept, mut random: fastrand::Rng) -> Result<()> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream, "220 sink.test").await?;
    let mut line = String::new();
    let mut accepted = false;
    loop {
        line.clear();
        if (&mut stream).take(LINE_MAX_OCTETS).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let text = match verb.as_str() {
            "EHLO" => "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME",
            "RCPT" if line.contains(REFUSED) => "550 5.1.1 Nobody here",
            "RCPT" if random.u32(0..DEFER_ONE_IN) == 0 => "451 4.3.0 Come again",
            "RCPT" => {
                accepted = true;
                "250 2.1.5 OK"
            }
            "DATA" if !accepted => "554 5.5.1 No recipients",
            "DATA" => {
                accepted = false;
                answer(&mut stream, "354 Go").await?;
                let content = read_mail_data(&mut stream).await?;
                if random.u32(0..DROP_ONE_IN) == 0 {
                    return Ok(());
                }
                keep(&kept, &content);
                "250 2.0.0 Taken"
            }
            "MAIL" | "RSET" => {
                accepted = false;
                "250 2.0.0 OK"
            }
            "QUIT" => return answer(&mut stream, "221 2.0.0 Bye").await,
            _ => "500 5.5.2 What",
        };
        answer(&mut stream, text).await?;
    }
}

/// What was kept counts as arrived even if the answer to it is lost: it was on the wire then.
fn keep(kept: &Kept, content: &str) {
    if let Some((token, whole)) = recognize(content) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Arrival { token, at: SystemTime::now(), whole });
    }
}

async fn read_mail_data(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut content = String::new();
    loop {
        let start = content.len();
        if stream.read_line(&mut content).await? == 0 {
            anyhow::bail!("the stream ended in mail data");
        }
        if &content[start..] == ".\r\n" {
            content.truncate(start);
            return Ok(content);
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, text: &str) -> Result<()> {
    let line = format!("{text}\r\n");
    Ok(stream.get_mut().write_all(line.as_bytes()).await?)
}
