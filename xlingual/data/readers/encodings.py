"""Recognise legacy Chinese and Western encodings by their characters; refuse if in doubt."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from xlingual.errors import ConfigError, DataError

__all__ = ["check_encoding", "guess_encoding", "utf16_without_mark"]

# The most frequent characters of simplified and traditional Chinese. They make up three quarters
# of a text, but only a tenth of the gibberish that a wrong decoding gives.
_FREQUENT = frozenset(
    "的一是不了在人有我他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事"
    "其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只"
    "主没公从知使想长开些现情因动样本手明意间问真点气但外高老等实已名正它头件把被力己两很回重第新系向"
    "体次或月做水比五给话口文员走叫几打全书别最教快先直度平合活入部门让路带买卖钱东西电车身边觉听感服"
    "务房酒店住早餐客满便宜贵值推荐质量屏幕机物流包装味吃喝差脏吵旧净静近远位置环境态热价格错非常太较"
    "适喜欢失望再四六七八九百千万元号层楼台洗澡床睡空调网络递收货退换修坏售题解决功速性池充清晰声音颜"
    "色工漂亮简单容易内故读写字章翻译印刷纸版图片衣码穿布料薄厚款式舒孩妈朋友儿女今昨晚午星期周末钟待"
    "总每虽果且应该需希认建议告诉谢支持产品商评论标签负类区县市省政府党席统济银司企业股资金增率世界亚"
    "欧美湾香港海南北京广州研究科技育校院师医病药疗治疾患术社历史语言民族队战争武器赛球冠胜据报记表示"
    "称指至由及各某另她您咱吗呢吧啊嘛呀哦像跟往朝离并若则即尽管除才更挺蛮特确绝完乎左右概许必须求选择"
    "准备继续始结束败误基根关通仍却反任何整少双街站场铁租乘票飞火汽步跑停送取付角块折优惠免费赠券订户"
    "投理赔鲜丽丑臭甜苦辣咸酸冷温凉光影乐视频照画红黄蓝绿黑白灰紫粉這爲來箇們說國時於會後對裏過發軍無"
    "麼經當與學進種將還見沒從長開現動樣間問點氣實頭兩體給話員幾書別門讓帶買賣錢東電車邊覺聽務滿貴薦質"
    "機裝喫髒舊淨靜遠環態熱價錯較適歡萬號層樓臺牀調網絡遞貨換壞題決聲顏簡單內讀寫譯紙圖碼媽兒週鍾總雖"
    "應該認議訴謝產評論標籤負類區縣黨統濟銀業資亞歐灣廣師醫藥療術歷語隊戰爭賽勝據報記稱嗎離並則儘蠻確"
    "絕許須選擇準備繼續結敗誤關卻雙場鐵飛塊優費贈訂戶賠鮮麗醜鹹溫涼樂視頻畫紅黃藍綠裡著隻乾髮妳"
    "，。！？、；：“”‘’「」（）《》…—～·"
)
# Log-probability of one character of each kind: frequent; in the first level of GB 2312 or Big5;
# any other; invalid. Gibberish from the wrong encoding mostly consists of the last two.
_LOG_FREQUENT, _LOG_USUAL, _LOG_RARE, _LOG_INVALID, _LOG_ASCII = -6.9, -9.5, -14.5, -20.0, -3.7
_MIN_MARGIN = 5.0
_MIN_FREQUENT_SHARE = 0.3
_CHINESE = {"gb18030": "gb2312", "big5hkscs": "big5"}
_WESTERN = "cp1252"
_ACCENTED = "À-ÖØ-öø-ÿŒœŠšŽžŸ"
_WORD_WITH_ACCENT = re.compile(f"[A-Za-z]*[{_ACCENTED}][A-Za-z{_ACCENTED}]*")
_WESTERN_MARKS = frozenset("€‚„…‘’“”•–—™£")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "big5": "big5hkscs"}


def check_encoding(name: str) -> str:
    """The codec of an encoding that the user named, or of its superset if there is one.

    Raises:
        ConfigError: There is no such text encoding.
    """
    folded = name.casefold().replace("-", "").replace("_", "")
    codec = _SUPERSETS.get(folded, name)
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=codec or "-")
    except (LookupError, ValueError):
        raise ConfigError(
            f"--encoding {name!r} is not known; expected the name of a text encoding such as "
            "big5, gb18030 or cp1252"
        ) from None
    return codec


def guess_encoding(sample: bytes, *, path: str) -> str:
    """Distinguish GB18030, Big5 (with the Hong Kong supplement) and Windows-1252.

    A Chinese encoding is chosen if at least 30% of the characters are frequent ones in it, and if
    it is far more probable than the other. charset-normalizer only confirms Western text, because
    between the two Chinese encodings it is often wrong for texts of up to ten characters.

    Args:
        sample: The lines of the file that are not UTF-8.
        path: The file, for messages.

    Raises:
        DataError: The encoding is unclear; the message names ``--encoding``.
    """
    first, second = _chinese_readings(sample)
    if first.is_plausible and first.log_probability - second.log_probability >= _MIN_MARGIN:
        return first.encoding
    if not first.is_plausible and _is_western(sample):
        return _WESTERN
    raise DataError(
        f"{path}: its encoding is unclear (UTF-8, GB18030, Big5 or another); name it with "
        "--encoding, such as --encoding big5 or --encoding gb18030, or save the file as UTF-8"
    )


def utf16_without_mark(head: bytes) -> str | None:
    """Recognise UTF-16 without a byte-order mark: with ASCII text, every other byte is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < 2 or min(even, odd) > max(even, odd) / 10:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


@dataclass(frozen=True)
class _Reading:
    """A sample decoded as one Chinese encoding."""

    encoding: str
    log_probability: float
    frequent_share: float

    @property
    def is_plausible(self) -> bool:
        return self.frequent_share >= _MIN_FREQUENT_SHARE


def _chinese_readings(sample: bytes) -> list[_Reading]:
    """The sample in both Chinese encodings, the more probable one first."""
    readings = [_read_as(encoding, sample) for encoding in _CHINESE]
    return sorted(readings, key=lambda reading: reading.log_probability, reverse=True)


def _read_as(encoding: str, sample: bytes) -> _Reading:
    text = sample.decode(encoding, errors="replace")
    high = [character for character in text if character > "\x7f"]
    num_frequent = sum(character in _FREQUENT for character in high)
    return _Reading(
        encoding,
        # Each character counts once: repetition is no further evidence.
        sum(_log_probability(character, encoding) for character in set(text)),
        num_frequent / max(1, len(high)),
    )


def _log_probability(character: str, encoding: str) -> float:
    if character.isascii():
        return _LOG_ASCII
    if character in _FREQUENT:
        return _LOG_FREQUENT
    if character == "\ufffd" or "\ue000" <= character <= "\uf8ff":  # private use: not assigned
        return _LOG_INVALID
    try:
        code = character.encode(_CHINESE[encoding])
    except UnicodeEncodeError:
        return _LOG_RARE
    levels = ((0xA3A1, 0xA3FE), (0xB0A1, 0xD7FE)) if encoding == "gb18030" else ((0xA140, 0xC67E),)
    is_usual = any(low <= int.from_bytes(code, "big") <= high for low, high in levels)
    return _LOG_USUAL if is_usual else _LOG_RARE


def _is_western(sample: bytes) -> bool:
    """Whether the high bytes are accents inside words of ASCII letters, or quotation marks."""
    text = sample.decode(_WESTERN, errors="replace")
    words = "".join(_WORD_WITH_ACCENT.findall(text))
    num_accents = sum(not character.isascii() for character in words)
    num_marks = sum(character in _WESTERN_MARKS for character in text)
    num_others = sum(not character.isascii() for character in text) - num_accents - num_marks
    runs = _HIGH_BYTES.findall(sample)
    return (
        10 * num_others <= num_accents + num_marks
        and 2 * num_accents < max(1, len(words))
        and 2 * sum(len(run) == 1 for run in runs) >= len(runs)
        and from_bytes(sample, cp_isolation=[_WESTERN], preemptive_behaviour=False).best()
        is not None
    )
