use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 16;

/// All that a decoder makes of bytes that come in these pieces.
fn decode(wire: Wire, pieces: &[&[u8]]) -> (Vec<Reply>, bool) {
    let (mut decoder, mut input, mut replies) = (Decoder::new(wire, LIMIT), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Protocol);
                    return (replies, true);
                }
            }
        }
    }
    (replies, false)
}

fn meta(text: &str) -> (Vec<Reply>, bool) {
    decode(Wire::Meta, &[text.as_bytes()])
}

fn value(bytes: &'static str, cas: u64) -> Reply {
    Reply::Value(About { cas, ..About::default() }, Bytes::from_static(bytes.as_bytes()))
}

#[test]
fn a_server_that_speaks_meta_is_understood() {
    let about = About { cas: 7, flags: 4_294_967_295, left: Left::Seconds(30) };
    let forever = About { left: Left::Forever, ..About::default() };
    let (replies, is_broken) = meta(
        "VA 5 c7 f4294967295 t30\r\nhello\r\nHD t-1 W X\r\nEN\r\nNF\r\nNS c0\r\nEX\r\nVA 4\r\n\r\n\r\n\r\n\
         SERVER_ERROR object too large for cache\r\nSERVER_ERROR out of memory storing object\r\n\
         SERVER_ERROR busy\r\nSTORED\r\nCLIENT_ERROR unauthenticated\r\n",
    );
    let expected = [
        Reply::Value(about, Bytes::from_static(b"hello")),
        Reply::Done(forever),
        Reply::Absent,
        Reply::Absent,
        Reply::Refused,
        Reply::Refused,
        value("\r\n\r\n", 0),
        Reply::TooLarge("SERVER_ERROR object too large for cache".into()),
        Reply::TooLarge("SERVER_ERROR out of memory storing object".into()),
        Reply::Failed("SERVER_ERROR busy".into()),
        Reply::Done(About::default()),
        Reply::Broken("CLIENT_ERROR unauthenticated".into()),
    ];
    assert_eq!((replies.as_slice(), is_broken), (&expected[..], false));
}

#[test]
fn what_is_no_answer_is_an_error() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        "VA\r\n",
        "VA -1\r\n",
        "VA +1\r\nx\r\n",
        "VA 65537\r\n",
        "VA 99999999999999999999\r\n",
        "VA 1 cx\r\nx\r\n",
        "VA 1\r\nxx\r\n",
        "HD f4294967296\r\n",
        "\r\n",
    ] {
        assert_eq!(meta(text), (vec![], true), "{text:?}");
    }
    assert_eq!(meta(&"x".repeat(MAX_LINE + 2)), (vec![], true), "a line without an end");
    assert_eq!(decode(Wire::Binary, &[b"ERROR\r\n"]), (vec![], true));
    let mut long = vec![0x81];
    long.resize(8, 0);
    long.extend([0xff; 4]);
    long.resize(24, 0);
    assert_eq!(decode(Wire::Binary, &[&long]), (vec![], true), "an answer of 4 GiB");
}

#[test]
fn commands_are_written_as_the_protocol_has_them() {
    let stored = Stored { head: b"he", body: b"llo", flags: 9, expires: 60 };
    let key = WireKey { stamp: Some(0xab), text: "view//x" };
    let mut batch = Batch::new(Wire::Meta);
    batch.get(key);
    batch.look(WireKey::plain("k"));
    let still = |cas| NonZeroU64::new(cas).expect("not 0");
    batch.delete_still(WireKey::plain("k"), still(7));
    assert_eq!((batch.replies(), batch.changes()), (3, false));
    batch.set(key, Mode::Always, &stored);
    batch.set(key, Mode::IfAbsent, &stored);
    batch.set(key, Mode::IfStill(5), &stored);
    batch.delete(key);
    batch.log_in("ada", "a b");
    let expected = "mg 00000000000000ab/view//x c f t v\r\nmg k c f t\r\nmd k C7\r\n\
        ms 00000000000000ab/view//x 5 T60 F9\r\nhello\r\nms 00000000000000ab/view//x 5 T60 F9 ME\r\nhello\r\n\
        ms 00000000000000ab/view//x 5 T60 F9 C5\r\nhello\r\nmd 00000000000000ab/view//x\r\n\
        set ~axum-caching/auth 0 -1 7\r\nada a b\r\n";
    assert_eq!(String::from_utf8_lossy(batch.bytes()), expected);
    assert_eq!((batch.replies(), batch.changes()), (8, true));

    let mut batch = Batch::new(Wire::Binary);
    batch.set(WireKey::plain("k"), Mode::IfStill(5), &stored);
    let head = [0x80, 1, 0, 1, 8, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(batch.bytes(), [&head[..], &[0, 0, 0, 9, 0, 0, 0, 60], b"khello"].concat());
    let mut batch = Batch::new(Wire::Binary);
    batch.delete_still(WireKey::plain("k"), still(5));
    assert_eq!(
        batch.bytes(),
        [&[0x80, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &[0, 0, 0, 0, 0, 0, 0, 5], b"k"].concat()
    );
}

#[test]
fn the_buffer_of_a_large_value_is_its_own() {
    for size in [OWN_BUFFER, 8 << 20] {
        let mut input = BytesMut::new();
        input.extend_from_slice(&vec![7; size]);
        input.extend_from_slice(b"\r\nHD c1\r\n");
        assert_eq!(take(&mut input, size).len(), size);
        assert_eq!(&input[..], b"\r\nHD c1\r\n");
        assert!(input.capacity() < OWN_BUFFER, "{} bytes are kept for what comes next", input.capacity());
    }
}

fn binary_reply() -> impl Strategy<Value = Vec<u8>> {
    let operation = prop_oneof![Just(0_u8), Just(1), Just(2), Just(4), Just(0x21), any::<u8>()];
    let status = prop_oneof![Just(0_u16), 0..6_u16, Just(0x20), Just(0x81), Just(0x82), any::<u16>()];
    (operation, status, any::<u64>(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(
        |(operation, status, cas, body)| {
            let extras = if operation == 0 && body.len() >= 4 { 4 } else { 0 };
            let mut bytes = vec![0x81, operation, 0, 0, extras, 0];
            bytes.extend(status.to_be_bytes());
            bytes.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(cas.to_be_bytes());
            bytes.extend(body);
            bytes
        },
    )
}

fn meta_reply() -> impl Strategy<Value = Vec<u8>> {
    let value =
        (prop::collection::vec(any::<u8>(), 0..80), any::<u64>(), any::<u32>()).prop_map(|(body, cas, flags)| {
            [format!("VA {} c{cas} f{flags} t-1\r\n", body.len()).into_bytes(), body, b"\r\n".to_vec()].concat()
        });
    let line =
        prop::sample::select(vec!["HD\r\n", "HD c3\r\n", "EN\r\n", "NF\r\n", "NS\r\n", "EX\r\n", "SERVER_ERROR x\r\n"]);
    prop_oneof![value, line.prop_map(|line| line.as_bytes().to_vec())]
}

/// Bytes of a server that is right, wrong from some place on, or nothing of the kind.
fn stream(reply: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = Vec<u8>> {
    let replies = prop::collection::vec(reply, 0..8).prop_map(|replies| replies.concat());
    let noise = prop_oneof![Just(vec![]), prop::collection::vec(any::<u8>(), 0..200)];
    let text = "(VA|HD|EN|\r|\n|\r\n| |c|f|t|[0-9]){0,60}".prop_map(String::into_bytes);
    prop_oneof![
        4 => (replies, noise).prop_map(|(replies, noise)| [replies, noise].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..400),
        2 => text,
    ]
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    places.insert(0, 0);
    places.push(bytes.len());
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answers_or_an_error_however_they_are_cut(
        (wire, bytes) in prop_oneof![
            (Just(Wire::Meta), stream(meta_reply())),
            (Just(Wire::Binary), stream(binary_reply())),
        ],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = decode(wire, &[&bytes]);
        prop_assert_eq!(&whole, &decode(wire, &pieces(&bytes, &cuts)));
        let one_by_one: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&whole, &decode(wire, &one_by_one));
    }

    #[test]
    fn right_answers_are_all_understood(replies in prop::collection::vec(meta_reply(), 0..20)) {
        let (understood, is_broken) = decode(Wire::Meta, &[&replies.concat()]);
        prop_assert_eq!((understood.len(), is_broken), (replies.len(), false));
    }
}
