//! The contract of Ticketing: the types and services generated from `ticketing/**/*.proto`,
//! and the descriptor set behind gRPC reflection. No business logic.

/// The encoded `google.protobuf.FileDescriptorSet` of the whole contract, with
/// `google/rpc` beside it so that clients can decode error details.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ticketing.binpb"));

/// Package `ticketing.auth`.
pub mod auth {
    /// Package `ticketing.auth.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.auth.v1");
    }
}

/// Package `ticketing.booking`.
pub mod booking {
    /// Package `ticketing.booking.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.booking.v1");
    }
}

/// Package `ticketing.catalog`.
pub mod catalog {
    /// Package `ticketing.catalog.internal`.
    pub mod internal {
        /// Package `ticketing.catalog.internal.v1`.
        #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
        pub mod v1 {
            tonic::include_proto!("ticketing.catalog.internal.v1");
        }
    }

    /// Package `ticketing.catalog.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.catalog.v1");
    }
}

/// Package `ticketing.errors`.
pub mod errors {
    /// Package `ticketing.errors.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.errors.v1");
    }
}

/// Package `ticketing.expiry`.
pub mod expiry {
    /// Package `ticketing.expiry.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.expiry.v1");
    }
}

/// Package `ticketing.money`.
pub mod money {
    /// Package `ticketing.money.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.money.v1");
    }
}

/// Package `ticketing.payment`.
pub mod payment {
    /// Package `ticketing.payment.v1`.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("ticketing.payment.v1");
    }
}
