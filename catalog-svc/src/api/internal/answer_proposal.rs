//! AnswerProposal.

use model::{NAME_CHARS_MAX, is_hidden};
use proto::catalog::internal::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::FeedApi;
use crate::api::parse;
use crate::domain::{Answer, Proposed};
use crate::store::AnswerProposal;

/// The most seats that an answer may name.
const BOOKED_SEATS_MAX: usize = 100;

pub(super) async fn handle(
    api: &FeedApi,
    request: pb::AnswerProposalRequest,
) -> Result<pb::AnswerProposalResponse, ApiError> {
    api.store.mutate(parse(request)?, None).await?;
    Ok(pb::AnswerProposalResponse {})
}

fn parse(request: pb::AnswerProposalRequest) -> Result<AnswerProposal, ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let revision = request.proposal_revision;
    if revision < 1 {
        violations.add("proposal_revision", "must be the revision of a proposal");
    }
    let booked_seats = request.booked_seats;
    if request.accepted && !booked_seats.is_empty() {
        violations.add(
            "booked_seats",
            "must not be set if the proposal is accepted",
        );
    } else if booked_seats.len() > BOOKED_SEATS_MAX {
        violations.add(
            "booked_seats",
            format!("must be at most {BOOKED_SEATS_MAX}"),
        );
    } else {
        for (i, name) in booked_seats.iter().enumerate() {
            let is_name = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
            if !is_name || name.chars().any(is_hidden) {
                let message = "must be the label of a seat or the name of an area";
                violations.add(format!("booked_seats[{i}]"), message);
            }
        }
    }
    match id {
        Some(id) if violations.is_empty() => Ok(AnswerProposal {
            proposed: Proposed { id, revision },
            answer: if request.accepted {
                Answer::Accepted
            } else {
                Answer::Refused { booked_seats }
            },
        }),
        _ => Err(violations.into_error()),
    }
}
