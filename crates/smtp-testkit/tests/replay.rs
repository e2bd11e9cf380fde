//! The server's dialogues over TCP, against a server that is willing and one that is not.

#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use smtp_io::{CloseLimits, Connection, now};
use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, Reply, ReplyCode};
use smtp_testkit::transcript::{ServerRole, Transcript, all};
use tokio::net::TcpListener;

const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");

async fn serve(listener: TcpListener) {
    let config = Arc::new(ServerConfig::new("mx.example.com".parse().unwrap()));
    while let Ok((stream, _)) = listener.accept().await {
        let session = ServerSession::new(Arc::clone(&config), None, now());
        tokio::spawn(serve_one(Connection::new(stream, session)));
    }
}

async fn serve_one(mut connection: Connection<ServerSession>) {
    let offered = Extensions {
        size: Some(1_000_000),
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: true,
        enhanced_status_codes: true,
        starttls: true,
        ..Extensions::default()
    };
    while let Ok(event) = connection.next_event().await {
        let session = connection.session();
        let answered = match event {
            Event::Connected => session.reply(Reply::without_status(ReplyCode::SERVICE_READY, "here"), now()),
            Event::Hello(_) => session.hello(offered.clone(), now()),
            Event::Mail(_) | Event::Rcpt(_) | Event::MailDataEnd(_) => session.reply(OK, now()),
            Event::MailDataStart(_) => session.begin_mail_data(now()),
            Event::Closed(_) => return connection.close(CloseLimits::default()).await,
            _ => Ok(()),
        };
        answered.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_willing_server_keeps_to_the_dialogues() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener));
    let replayed = tokio::task::spawn_blocking(move || {
        let replay = |transcript: &Transcript| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            transcript.replay(&stream)
        };
        let strange = Transcript::parse::<ServerRole>("strange", "S: 220 x\nC: NOOP\nS: 599 x\n");
        assert!(replay(&strange).unwrap_err().contains("599"));
        let strange = Transcript::parse::<ServerRole>("strange", "S: 220 x\nC: QUIT\nE: Closed(Quit)\n");
        assert!(replay(&strange).unwrap_err().contains("221"));
        let transcripts = all::<ServerRole>();
        let for_any = transcripts.iter().filter(|(_, transcript)| transcript.is_for_any_server());
        for_any.map(|(_, transcript)| replay(transcript).unwrap()).count()
    });
    assert!(replayed.await.unwrap() > 30);
}
