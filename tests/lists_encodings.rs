//! Lists in old encodings: their names come back in UTF-8, or the program says that it does not know the encoding. A name is
//! never rewritten by a guess.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

mod support;

use std::fmt::Write as _;

use support::Folder;

use listproof::list::{self, Encoding, ListEntry, ReadOptions, Source};

/// The rows of a list as text, and the name of its encoding; or the error.
fn read(bytes: &[u8], options: &ReadOptions) -> Result<(String, String), String> {
    let folder = Folder::with_file("list.csv", bytes);
    let list = list::open(&Source::Path(folder.path("list.csv")), options);
    let failed = |error: list::ListError| {
        let message = error.to_string().replace(&format!("{}/", folder.path("").display()), "");
        format!(
            "{}: {}; {}",
            error.class().exit_code(),
            message.replace(folder.path("").to_str().unwrap(), ""),
            error.hint()
        )
    };
    let list = list.map_err(failed)?;
    let mut rows = list.rows().map_err(failed)?;
    let mut text = String::new();
    while let Some(entry) = rows.next().map_err(failed)? {
        if let ListEntry::Row(row) = entry {
            writeln!(text, "{}", std::str::from_utf8(row.raw()).unwrap()).unwrap();
        }
    }
    let sentence = list.sentence();
    let encoding = sentence.split(" in ").nth(1).unwrap();
    Ok((text, encoding.split([';', ',']).next().unwrap().trim_end_matches(" (written as UTF-8)").to_owned()))
}

/// What a list is in an encoding.
fn encoded(text: &str, label: &str) -> Vec<u8> {
    let (bytes, _, has_missing) = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(text);
    assert!(!has_missing, "{label}: {text}");
    bytes.into_owned()
}

/// A language: what its lists are called, a domain of its country, encodings, and names.
struct Case {
    domain: &'static str,
    labels: &'static [&'static str],
    header: &'static str,
    names: &'static [&'static str],
}

const CASES: [Case; 14] = [
    Case {
        domain: "ru",
        labels: &["windows-1251", "koi8-r", "iso-8859-5"],
        header: "Имя;Город",
        names: &[
            "Иван Петров;Москва",
            "Ольга Смирнова;Самара",
            "Дмитрий Кузнецов;Казань",
            "Елена Попова;Пермь",
            "Сергей Васильев;Омск",
            "Анна Соколова;Тверь",
            "Наталья Морозова;Курск",
            "Юрий Щербаков;Уфа",
            "Татьяна Жукова;Сочи",
            "Михаил Цветков;Томск",
            "ЕКАТЕРИНА ОРЛОВА;Тула",
            "Андрей Лебедев;Рязань",
        ],
    },
    Case {
        domain: "ua",
        labels: &["windows-1251", "koi8-u"],
        header: "Прізвище;Місто",
        names: &[
            "Шевченко Тарас;Київ",
            "Коваленко Оксана;Львів",
            "Бондаренко Андрій;Харків",
            "Ткаченко Ірина;Одеса",
            "Мельник Юлія;Вінниця",
            "Кравчук Євген;Чернівці",
            "Поліщук Наталія;Суми",
            "Їжакевич Петро;Полтава",
        ],
    },
    Case {
        domain: "gr",
        labels: &["windows-1253", "iso-8859-7"],
        header: "Όνομα;Πόλη",
        names: &[
            "Γιώργος Παπαδόπουλος;Αθήνα",
            "Μαρία Νικολάου;Πάτρα",
            "Άννα Αντωνίου;Βόλος",
            "Δημήτρης Βασιλείου;Λάρισα",
            "Ελένη Γεωργίου;Ρόδος",
            "Κώστας Ιωάννου;Χανιά",
            "Σοφία Δημητρίου;Καβάλα",
            "Νίκος Οικονόμου;Σέρρες",
        ],
    },
    Case {
        domain: "cz",
        labels: &["windows-1250", "iso-8859-2"],
        header: "Jméno;Město",
        names: &[
            "Jiří Dvořák;Plzeň",
            "Tomáš Černý;Ústí",
            "Lukáš Němec;Přerov",
            "Zdeněk Růžička;Břeclav",
            "Kateřina Šťastná;Děčín",
            "Václav Kučera;Třebíč",
            "Ondřej Žák;Kroměříž",
            "Eliška Řezníčková;Olomouc",
            "Přemysl Kříž;Žďár",
            "Božena Hájková;Jičín",
            "Miloš Vaněk;Tišnov",
            "Markéta Jelínková;Zlín",
        ],
    },
    Case {
        domain: "pl",
        labels: &["windows-1250", "iso-8859-2"],
        header: "Imię;Miejscowość",
        names: &[
            "Michał Wąsik;Łódź",
            "Agnieszka Wójcik;Kraków",
            "Paweł Kamiński;Gdańsk",
            "Małgorzata Dąbrowska;Poznań",
            "Łukasz Zieliński;Wrocław",
            "Grażyna Śliwińska;Białystok",
            "Stanisław Żak;Rzeszów",
            "Wiesław Gąsior;Płock",
            "Józef Ćwik;Częstochowa",
            "Elżbieta Głowacka;Świdnica",
        ],
    },
    Case {
        domain: "hu",
        labels: &["windows-1250", "iso-8859-2"],
        header: "Név;Város",
        names: &[
            "Kovács Győző;Győr",
            "Szabó László;Székesfehérvár",
            "Tóth Erzsébet;Hódmezővásárhely",
            "Nagy Enikő;Pécs",
            "Kiss Jenő;Kőszeg",
            "Horváth Ödön;Gödöllő",
            "Szűcs Gergő;Dunaújváros",
            "Fülöp Zsófia;Szentgyörgy",
        ],
    },
    Case {
        domain: "tr",
        labels: &["windows-1254"],
        header: "Adı;Şehir",
        names: &[
            "Ayşe Yılmaz;İstanbul",
            "Çağrı Şahin;Diyarbakır",
            "Gülşen Öztürk;Muğla",
            "İbrahim Kılıç;Eskişehir",
            "Uğur Aydın;Balıkesir",
            "Işıl Çelik;Kırşehir",
            "Oğuz Güneş;Ağrı",
            "Şükrü Doğan;Elazığ",
        ],
    },
    Case {
        domain: "il",
        labels: &["windows-1255", "iso-8859-8"],
        header: "שם;עיר",
        names: &[
            "דוד כהן;ירושלים",
            "שרה לוי;חיפה",
            "משה מזרחי;אשדוד",
            "רחל פרץ;נתניה",
            "יוסף ביטון;באר שבע",
            "אברהם דהן;רמת גן",
        ],
    },
    Case {
        domain: "ae",
        labels: &["windows-1256", "iso-8859-6"],
        header: "الاسم;المدينة",
        names: &[
            "محمد أحمد;القاهرة",
            "فاطمة علي;الرياض",
            "يوسف حسن;دبي",
            "مريم إبراهيم;عمان",
            "خالد عبد الله;جدة",
            "سارة محمود;بيروت",
        ],
    },
    Case {
        domain: "th",
        labels: &["windows-874"],
        header: "ชื่อ;จังหวัด",
        names: &[
            "สมชาย ใจดี;กรุงเทพ",
            "สมหญิง รักไทย;เชียงใหม่",
            "ประยุทธ์ ศรีสุข;ขอนแก่น",
            "วิชัย ทองคำ;ภูเก็ต",
            "นภา แสงจันทร์;ชลบุรี",
            "อรุณี พงษ์ไพร;ระยอง",
        ],
    },
    Case {
        domain: "cn",
        labels: &["gbk", "gb18030"],
        header: "姓名;城市",
        names: &[
            "王小明;北京",
            "李华;上海",
            "张伟;广州",
            "刘洋;深圳",
            "陈静;成都",
            "杨帆;武汉",
            "赵敏;西安",
            "黄磊;杭州",
            "周杰;南京",
            "吴芳;天津",
        ],
    },
    Case {
        domain: "tw",
        labels: &["big5"],
        header: "姓名;城市",
        names: &[
            "王小明;臺北",
            "陳美玲;高雄",
            "林志豪;台中",
            "張雅婷;臺南",
            "黃建宏;新竹",
            "劉淑芬;基隆",
            "吳俊傑;嘉義",
            "蔡宜君;花蓮",
        ],
    },
    Case {
        domain: "jp",
        labels: &["shift_jis", "euc-jp"],
        header: "氏名;都道府県",
        names: &[
            "山田太郎;東京都",
            "佐藤花子;大阪府",
            "鈴木一郎;北海道",
            "高橋さくら;京都府",
            "田中けんじ;福岡県",
            "伊藤ユミ;愛知県",
            "渡辺直美;沖縄県",
            "小林マリ;長野県",
        ],
    },
    Case {
        domain: "kr",
        labels: &["euc-kr"],
        header: "이름;도시",
        names: &[
            "김철수;서울",
            "이영희;부산",
            "박지훈;대구",
            "최수진;인천",
            "정민호;광주",
            "강은영;대전",
            "조현우;울산",
            "윤서연;수원",
        ],
    },
];

/// A list of so many rows; `header` may have letters of the language or none.
fn list_of(case: &Case, rows: usize, header: &str, domain: &str) -> String {
    let mut list = format!("{header};E-Mail\n");
    for (number, name) in case.names.iter().cycle().take(rows).enumerate() {
        writeln!(list, "{name};user{number}@example.{domain}").unwrap();
    }
    list
}

/// How a list was read.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// With its names as they are.
    Right,
    /// Not at all: the encoding is not known.
    Unknown(String),
    /// With other names, in the encoding that is named.
    Wrong(String),
}

fn outcome(list: &str, label: &str) -> Outcome {
    match read(&encoded(list, label), &ReadOptions::default()) {
        Ok((text, _)) if text == list.split_once('\n').unwrap().1 => Outcome::Right,
        Ok((text, encoding)) => Outcome::Wrong(format!("{encoding}: {}", text.lines().next().unwrap())),
        Err(error) => {
            assert!(
                error.starts_with("65: ") && error.contains("the encoding of its text is not clear"),
                "{error}"
            );
            assert!(error.contains("`--encoding LABEL`"), "{error}");
            Outcome::Unknown(error)
        }
    }
}

/// A header and a domain: of the language, or of none.
fn contexts(case: &Case) -> [(&'static str, &'static str); 4] {
    [(case.header, case.domain), ("Name;City", case.domain), (case.header, "com"), ("Name;City", "com")]
}

#[test]
fn long_lists_are_read_in_their_encoding() {
    let mut others = Vec::new();
    for case in &CASES {
        for label in case.labels {
            for (header, domain) in contexts(case) {
                match outcome(&list_of(case, 200, header, domain), label) {
                    Outcome::Right => {}
                    other => others.push(format!("{label} {header} {domain} {other:?}")),
                }
            }
        }
    }
    assert!(others.is_empty(), "{}: {others:#?}", others.len());
}

#[test]
fn short_lists_are_read_in_their_encoding_or_not_at_all() {
    let (mut right, mut western, mut unknown, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for case in &CASES {
        let is_latin = ["cz", "pl", "hu", "tr"].contains(&case.domain);
        for label in case.labels {
            for (header, domain) in contexts(case) {
                // Three rows of each list, from different places.
                for first in 0..case.names.len() - 2 {
                    let part = Case { names: &case.names[first..first + 3], ..*case };
                    let name = format!("{label} {header} {domain} {first}");
                    match outcome(&list_of(&part, 3, header, domain), label) {
                        Outcome::Right => right += 1,
                        Outcome::Unknown(error) => unknown.push(format!("{name} {error}")),
                        // A short list in Latin letters that nothing says more about is Windows-1252.
                        Outcome::Wrong(names)
                            if is_latin
                                && domain == "com"
                                && header.is_ascii()
                                && names.starts_with("Windows-1252") =>
                        {
                            western += 1;
                        }
                        Outcome::Wrong(names) => wrong.push(format!("{name} {names}")),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    assert!(western < 20 && unknown.len() * 40 < right, "{western}, {}: {unknown:#?}", unknown.len());
}

#[test]
fn a_short_list_with_latin_letters_is_windows_1252() {
    for (names, domain) in [
        ("Anna;Müller", "com"),
        ("Jürgen;Größe", "de"),
        ("Zoë;L’Été – “ici” €5", "fr"),
        ("José;Muñoz", "com"),
        ("Søren;Ærø", "dk"),
        ("François;Hélène", "org"),
        ("João;São Paulo", "com"),
        ("Müller;Köln", "cz"),
        ("Muñoz;Peña", "test"),
    ] {
        let list = format!("Name;City;Email\n{names};a@example.{domain}\nBob;Rome;b@example.{domain}\n");
        assert_eq!(outcome(&list, "windows-1252"), Outcome::Right, "{names}");
    }
}

#[test]
fn what_follows_a_megabyte_of_ascii_decides_the_encoding() {
    let mut ascii = String::from("Name;City;Email\n");
    for number in 0..60_000 {
        writeln!(ascii, "Ann;Rome;user{number}@example.com").unwrap();
    }
    assert!(ascii.len() > 3 << 19);
    for (label, case) in [("windows-1251", &CASES[0]), ("gbk", &CASES[10]), ("windows-1252", &CASES[3])] {
        let names = if label == "windows-1252" {
            "Jürgen;Köln;j@example.com\n".to_owned()
        } else {
            list_of(case, 9, "Name;City", "com")
        };
        assert_eq!(outcome(&format!("{ascii}{names}"), label), Outcome::Right, "{label}");
    }
    let utf8 = format!("{ascii}Jürgen;Köln;j@example.com\n");
    assert!(
        read(utf8.as_bytes(), &ReadOptions::default()).unwrap().0.ends_with("Jürgen;Köln;j@example.com\n")
    );
    // Only the rest of the list shows that its encoding is not known.
    let unknown =
        [ascii.as_bytes(), b"M\x81ller;K\x94ln;m@example.com\nAndr\x82;Orl\x82ans;a@example.com\n"].concat();
    assert!(read(&unknown, &ReadOptions::default()).unwrap_err().starts_with("65: "));
}

#[test]
fn utf8_with_a_few_broken_rows_stays_utf8() {
    let mut list = String::from("Name;City;Email\n");
    for number in 0..3_000 {
        writeln!(list, "Дмитрий {number};Köln;user{number}@example.com").unwrap();
    }
    let broken = [list.as_bytes(), b"J\xfcrgen;K\xf6ln;j@example.com\n", list.as_bytes()].concat();
    let (text, encoding) = read(&broken, &ReadOptions::default()).unwrap();
    assert_eq!(encoding, "UTF-8");
    assert!(text.contains("\nJürgen;Köln;j@example.com\n") && text.contains("Дмитрий 2999;Köln"));
    // A joined list in another script is not one broken row, and is not read as Latin letters.
    let russian = encoded(&list_of(&CASES[0], 12, "Name;City", "ru"), "windows-1251");
    let error = read(&[list.as_bytes(), &russian].concat(), &ReadOptions::default()).unwrap_err();
    assert!(error.ends_with("likely labels: UTF-8, Windows-1251"), "{error}");
}

#[test]
fn the_encoding_that_the_user_names_is_taken() {
    let list = "Name;City;Email\nМюллер;Köln;m@example.ru\n".replace('ö', "o");
    for label in ["windows-1251", "koi8-r", "iso-8859-5", "ibm866", "gb18030", "utf-8"] {
        let options = ReadOptions { encoding: Encoding::labeled(label), ..ReadOptions::default() };
        let (text, encoding) = read(&encoded(&list, label), &options).unwrap();
        assert_eq!(text, list.split_once('\n').unwrap().1, "{label}");
        assert_eq!(encoding.to_lowercase(), label);
    }
}

#[test]
fn what_no_encoding_explains_is_unknown() {
    // Code page 850, which the table does not have.
    let bytes = b"Name;City;Email\nM\x81ller;K\x94ln;m@example.com\nAndr\x82;Orl\x82ans;a@example.com\n";
    let error = read(bytes, &ReadOptions::default()).unwrap_err();
    assert!(error.starts_with("65: ") && error.contains("is not clear"), "{error}");
}
