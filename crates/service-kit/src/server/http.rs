//! What is no gRPC, and how it is answered: by HTTP's own status codes.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use tonic::body::Body;

/// gRPC's content type, which a format may follow ("+proto") or parameters (";").
const GRPC: &str = "application/grpc";

/// The answer to a request that is none of gRPC.
pub(super) fn refusal<T>(request: &Request<T>) -> Option<Response<Body>> {
    // An HTTP/1 client is answered in its own tongue: a reset would not say what is wrong.
    if request.version() != Version::HTTP_2 {
        let why = "this port serves gRPC, which needs HTTP/2\n";
        return Some(answer(StatusCode::BAD_REQUEST, why));
    }
    if request.method() != Method::POST {
        let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, "gRPC calls are POST\n");
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(answer);
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    if content_type.is_some_and(is_grpc) {
        return None;
    }
    let why = "the content type of gRPC is application/grpc\n";
    Some(answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    let bytes = content_type.as_bytes();
    let Some((grpc, rest)) = bytes.split_at_checked(GRPC.len()) else {
        return false;
    };
    grpc.eq_ignore_ascii_case(GRPC.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';'))
}

fn answer(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::new(http_body_util::Full::from(why)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(version: Version, method: Method, content_type: &str) -> Option<StatusCode> {
        let request = Request::builder()
            .version(version)
            .method(method)
            .header(CONTENT_TYPE, content_type)
            .body(())
            .expect("a request");
        refusal(&request).map(|answer| answer.status())
    }

    #[test]
    fn grpc_is_a_post_over_http_2_with_its_content_type() {
        for content_type in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC",
            "application/grpc; charset=utf-8",
        ] {
            assert_eq!(status(Version::HTTP_2, Method::POST, content_type), None);
        }
        for content_type in ["", "application/grpc-web", "application/json", "text/plain"] {
            assert_eq!(
                status(Version::HTTP_2, Method::POST, content_type),
                Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
                "{content_type}"
            );
        }
        for method in [Method::GET, Method::PUT, Method::TRACE, Method::OPTIONS] {
            assert_eq!(
                status(Version::HTTP_2, method, "application/grpc"),
                Some(StatusCode::METHOD_NOT_ALLOWED)
            );
        }
        assert_eq!(
            status(Version::HTTP_11, Method::POST, "application/grpc"),
            Some(StatusCode::BAD_REQUEST)
        );
    }
}
