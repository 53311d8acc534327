//! Reservation and catalog in one, as far as the expirer can tell.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use proto::{
    catalog::{self, HoldKey, hold_service_server},
    reservation::{self, hold_verdict, settlement_service_server},
};
use time::{Duration as Span, OffsetDateTime};
use tokio::{net::TcpListener, time::sleep};
use tonic::{Code, Request, Response, Status, service::Routes, transport::server::TcpIncoming};

#[derive(Debug, Default)]
struct State {
    deadlines: HashMap<String, OffsetDateTime>,
    refused: HashSet<String>,
    /// By how much what is asked about next is extended just before.
    extended_when_asked: HashMap<String, Span>,
    /// The most overdue first; a number is that of its place.
    overdue: BTreeMap<usize, HoldKey>,
    away: Option<Code>,
    away_below: usize,
    sizes: Vec<usize>,
    delay: Duration,
    questions: Vec<(HoldKey, OffsetDateTime)>,
    settled: Vec<(HoldKey, OffsetDateTime)>,
    put_off: HashMap<String, Span>,
}

/// The services; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    clock_offset: Span,
    state: Arc<Mutex<State>>,
}

impl Services {
    /// Serves both, with a clock that is so far off.
    pub(crate) async fn start(clock_offset: Span) -> (Self, SocketAddr) {
        let services = Self { clock_offset, state: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(hold_service_server::HoldServiceServer::new(services.clone()))
            .add_service(settlement_service_server::SettlementServiceServer::new(services.clone()));
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        (services, address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.clock_offset
    }

    pub(crate) fn hold(&self, key: &HoldKey, deadline: OffsetDateTime) {
        self.state().deadlines.insert(key.booking_id.clone(), deadline);
    }

    pub(crate) fn extend(&self, key: &HoldKey, by: Span) {
        *self.state().deadlines.get_mut(&key.booking_id).unwrap() += by;
    }

    /// Extends it when it is asked about: by so much from then on.
    pub(crate) fn extend_when_asked(&self, key: &HoldKey, by: Span) {
        self.state().extended_when_asked.insert(key.booking_id.clone(), by);
    }

    /// Its deadline.
    pub(crate) fn deadline(&self, key: &HoldKey) -> OffsetDateTime {
        self.state().deadlines[&key.booking_id]
    }

    pub(crate) fn refuse(&self, key: &HoldKey) {
        self.state().refused.insert(key.booking_id.clone());
    }

    /// Answers every question with this code, as if nobody were there.
    pub(crate) fn set_away(&self, away: Option<Code>) {
        self.state().away = away;
    }

    /// Is away for questions about fewer holds.
    pub(crate) fn set_away_below(&self, holds: usize) {
        self.state().away_below = holds;
    }

    /// About how many holds each question was.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.state().sizes.clone()
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    pub(crate) fn set_overdue(&self, keys: &[HoldKey]) {
        self.state().overdue = keys.iter().cloned().enumerate().collect();
    }

    pub(crate) fn settled(&self) -> Vec<(HoldKey, OffsetDateTime)> {
        self.state().settled.clone()
    }

    pub(crate) fn put_off(&self, key: &HoldKey) -> Option<Span> {
        self.state().put_off.get(&key.booking_id).copied()
    }

    pub(crate) fn questions_about(&self, key: &HoldKey) -> usize {
        self.state().questions.iter().filter(|(asked, _)| asked == key).count()
    }

    /// How many questions came more than 5 ms before their time.
    pub(crate) fn questions_too_early(&self) -> usize {
        let state = self.state();
        let slack = Span::milliseconds(5);
        let early = |(key, at): &&(HoldKey, OffsetDateTime)| *at + slack < state.deadlines[&key.booking_id];
        state.questions.iter().filter(early).count()
    }

    fn verdict(&self, key: &HoldKey) -> reservation::HoldVerdict {
        let now = self.now();
        let deadline = {
            let mut state = self.state();
            if let Some(by) = state.extended_when_asked.remove(&key.booking_id) {
                state.deadlines.insert(key.booking_id.clone(), now + by);
            }
            state.deadlines[&key.booking_id]
        };
        let verdict = if now >= deadline {
            hold_verdict::Verdict::Release(hold_verdict::Release {})
        } else {
            let left = (deadline - now).max(Span::MILLISECOND);
            hold_verdict::Verdict::NotDue(api::time::to_duration(left))
        };
        let expire_time = Some(api::time::to_timestamp(deadline));
        reservation::HoldVerdict { verdict: Some(verdict), expire_time }
    }
}

#[tonic::async_trait]
impl settlement_service_server::SettlementService for Services {
    async fn resolve_holds(
        &self,
        request: Request<reservation::ResolveHoldsRequest>,
    ) -> Result<Response<reservation::ResolveHoldsResponse>, Status> {
        let keys = request.into_inner().keys;
        let now = self.now();
        let (away, delay, refused) = {
            let mut state = self.state();
            state.questions.extend(keys.iter().map(|key| (key.clone(), now)));
            let refused = keys.iter().any(|key| state.refused.contains(&key.booking_id));
            // The readings of the clock go on, so that the delay falls on the questions.
            let delay = if keys.is_empty() { Duration::ZERO } else { state.delay };
            if keys.is_empty() {
                (None, delay, refused)
            } else {
                state.sizes.push(keys.len());
                let below = (keys.len() < state.away_below).then_some(Code::Unavailable);
                (state.away.or(below), delay, refused)
            }
        };
        sleep(delay).await;
        if let Some(code) = away {
            return Err(Status::new(code, "away"));
        }
        if refused {
            return Err(Status::invalid_argument("refused"));
        }
        let verdicts = keys.iter().map(|key| self.verdict(key)).collect();
        let server_time = Some(api::time::to_timestamp(self.now()));
        Ok(Response::new(reservation::ResolveHoldsResponse { verdicts, server_time }))
    }

    async fn expire_drafts(
        &self,
        _: Request<reservation::ExpireDraftsRequest>,
    ) -> Result<Response<reservation::ExpireDraftsResponse>, Status> {
        Ok(Response::new(reservation::ExpireDraftsResponse { expired: 0 }))
    }
}

#[tonic::async_trait]
impl hold_service_server::HoldService for Services {
    async fn place_holds(
        &self,
        _: Request<catalog::PlaceHoldsRequest>,
    ) -> Result<Response<catalog::PlaceHoldsResponse>, Status> {
        Err(Status::unimplemented("the expirer places nothing"))
    }

    async fn settle_holds(
        &self,
        request: Request<catalog::SettleHoldsRequest>,
    ) -> Result<Response<catalog::SettleHoldsResponse>, Status> {
        let holds = request.into_inner().holds;
        let now = self.now();
        let mut state = self.state();
        let outcomes = vec![catalog::SettleOutcome::Settled.into(); holds.len()];
        for hold in holds {
            let key = hold.key.unwrap();
            state.overdue.retain(|_, overdue| *overdue != key);
            match hold.verdict.unwrap() {
                catalog::settle_hold::Verdict::ReviewAfter(after) => {
                    state.put_off.insert(key.booking_id, api::time::from_duration(&after).unwrap());
                }
                _ => state.settled.push((key, now)),
            }
        }
        Ok(Response::new(catalog::SettleHoldsResponse { outcomes }))
    }

    async fn restore_holds(
        &self,
        _: Request<catalog::RestoreHoldsRequest>,
    ) -> Result<Response<catalog::RestoreHoldsResponse>, Status> {
        Err(Status::unimplemented("the expirer puts nothing back"))
    }

    async fn list_overdue_holds(
        &self,
        request: Request<catalog::ListOverdueHoldsRequest>,
    ) -> Result<Response<catalog::ListOverdueHoldsResponse>, Status> {
        let catalog::ListOverdueHoldsRequest { limit, page_token } = request.into_inner();
        let start = page_token.parse().unwrap_or(0);
        let limit = usize::try_from(limit).unwrap();
        let state = self.state();
        let mut behind = state.overdue.range(start..);
        let keys = behind.by_ref().take(limit).map(|(_, key)| key.clone()).collect();
        let next_page_token = behind.next().map(|(place, _)| place.to_string()).unwrap_or_default();
        Ok(Response::new(catalog::ListOverdueHoldsResponse { keys, next_page_token }))
    }
}
