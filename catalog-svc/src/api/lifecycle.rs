//! PublishShow, PauseShow, ResumeShow, CloseShow and CancelShow: the verbs of a show's life.

use prost::Message;
use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, convert, parse};
use crate::store::{Cancel, ChangeState, Close, LifeVerb, Pause, Publish, RequestKey, Resume};

/// The request of a lifecycle command; they all have the same fields.
pub(super) trait Request: Message {
    /// The verb that it asks for.
    type Verb: LifeVerb;
    /// The RPC's response.
    type Response;

    fn request_id(&mut self) -> String;
    fn fields(self) -> (String, String);
    fn response(show: Option<pb::Show>) -> Self::Response;
}

macro_rules! requests {
    ($($verb:ident: $request:ident => $response:ident,)*) => {$(
        impl Request for pb::$request {
            type Verb = $verb;
            type Response = pb::$response;

            fn request_id(&mut self) -> String {
                std::mem::take(&mut self.request_id)
            }

            fn fields(self) -> (String, String) {
                (self.show_id, self.etag)
            }

            fn response(show: Option<pb::Show>) -> pb::$response {
                pb::$response { show }
            }
        }
    )*};
}

requests! {
    Publish: PublishShowRequest => PublishShowResponse,
    Pause: PauseShowRequest => PauseShowResponse,
    Resume: ResumeShowRequest => ResumeShowResponse,
    Close: CloseShowRequest => CloseShowResponse,
    Cancel: CancelShowRequest => CancelShowResponse,
}

pub(super) async fn handle<R: Request>(
    api: &CatalogApi,
    request: R,
) -> Result<R::Response, ApiError> {
    let (change, key) = parse(request)?;
    let show = api.store.mutate(change, key).await?;
    Ok(R::response(Some(convert::show(&show))))
}

fn parse<R: Request>(
    mut request: R,
) -> Result<(ChangeState<R::Verb>, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &request.request_id());
    let key = parse::request_key::<ChangeState<R::Verb>>(id, &request);
    let (id, etag) = request.fields();
    let id = parse::show_id(&mut violations, "show_id", &id);
    let etag = parse::etag(&mut violations, "etag", etag);
    match id {
        Some(id) if violations.is_empty() => Ok((ChangeState::new(id, etag), key)),
        _ => Err(violations.into_error()),
    }
}
