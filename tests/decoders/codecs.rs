//! What members, offsets and files say.

use kstreams_assignor::{AssignmentData, Member, SubscriptionData};
use kstreams_store::RecordContext;
use kstreams_store::layout::{buffered, list, timestamped, versioned};
use kstreams_task::OffsetMetadata;
use proptest::prelude::*;

use crate::hostile;

fn subscription() -> Vec<u8> {
    let task = kstreams::TaskId::new(1, 2);
    let member = Member {
        running: [task].into(),
        state: [(task, 7)].into(),
        ..Member::default()
    };
    let data = SubscriptionData {
        member,
        shutdown: false,
    };
    data.encode().to_vec()
}

fn context() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut context = RecordContext {
        topic: Some("topic".into()),
        ..RecordContext::none(5)
    };
    context.headers.push("name", Some("value".into()));
    context.headers.push("null", None);
    buffered::write_context(&context, &mut bytes);
    bytes
}

fn buffered_value() -> Vec<u8> {
    let mut bytes = Vec::new();
    let value = buffered::Buffered {
        context: &context(),
        prior: Some(b"old"),
        old: Some(b"old"),
        new: Some(b"new"),
    };
    value.write(&mut bytes);
    bytes
}

fn rows() -> Vec<Vec<u8>> {
    let mut listed = Vec::new();
    list::push(&mut listed, b"a");
    list::push(&mut listed, b"");
    let mut latest = Vec::new();
    versioned::join_latest(5, b"value", &mut latest);
    let mut chain = Vec::new();
    versioned::Draft::of(1, 5, Some(b"value")).write(&mut chain);
    vec![listed, latest, chain, context(), buffered_value()]
}

proptest! {
    #[test]
    fn of_group_members(bytes in hostile::bytes(vec![subscription(), AssignmentData::default().encode().to_vec()])) {
        let _ = SubscriptionData::decode(&bytes);
        let _ = AssignmentData::decode(&bytes);
    }

    #[test]
    fn of_committed_offsets(bytes in hostile::bytes(vec![
        b"AgAAAAAAAAPoAAAAAQAAAAVzdG9yZQAAAAAAAAOE".to_vec(),
        b"AQAAAAAAAAPo".to_vec(),
    ])) {
        let _ = OffsetMetadata::decode(&String::from_utf8_lossy(&bytes));
        // Most texts are no base64; these are.
        use base64::Engine;
        let _ = OffsetMetadata::decode(&base64::engine::general_purpose::STANDARD.encode(&bytes));
    }

    #[test]
    fn of_rows(bytes in hostile::bytes(rows())) {
        timestamped::split(&bytes);
        for _ in list::values(&bytes) {}
        versioned::split_latest(&bytes);
        if let Some(chain) = versioned::Chain::new(&bytes) {
            for _ in chain.versions() {}
            let _ = versioned::Draft::from(chain);
        }
        buffered::read_context(&bytes);
        buffered::split_change(&bytes);
        if let Some((value, _)) = buffered::Buffered::split(&bytes) {
            let mut again = Vec::new();
            value.write(&mut again);
            buffered::read_context(value.context);
        }
    }
}
